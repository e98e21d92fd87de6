# SPDX-License-Identifier: Apache-2.0
"""clocks.py: for every time zone its place on the map, its offset today and how often it was changed."""
import re

import step


def minutes(text):
    """Of an offset as tzdata writes it: 5:45, -3:30, 0."""
    sign = -1 if text.startswith("-") else 1
    part = [int(x) for x in text.lstrip("-").split(":")] + [0, 0]
    return sign * round(part[0] * 60 + part[1] + part[2] / 60)


def degrees(text):
    """Of a latitude or longitude as ISO 6709 writes it: +4230, -0123456."""
    digits = text[1:]
    whole = len(digits) - 2 if len(digits) < 6 else len(digits) - 4
    rest = digits[whole:]
    value = int(digits[:whole]) + int(rest[:2]) / 60 + int(rest[2:] or 0) / 3600
    return round(-value if text[0] == "-" else value, 4)


offsets = {}
for era in step.read_table("eras"):
    offsets.setdefault(era["zone"], []).append(era["offset"])

rows = []
for z in step.read_table("zones"):
    latitude, longitude = re.fullmatch(r"([+-]\d+)([+-]\d+)", z["place"]).groups()
    eras = offsets.get(z["zone"], [])
    rows.append((z["zone"], z["countries"], degrees(latitude), degrees(longitude),
                 minutes(eras[-1]) if eras else "", len(eras)))

step.write_table("clocks", ("zone", "countries", "latitude", "longitude", "offset", "eras"), rows)
step.hand_on(rows=len(rows), eras=sum(r[5] for r in rows))
print(f"{len(rows)} zones; the clocks of {max(rows, key=lambda r: r[5])[0]} were changed most often")
