# SPDX-License-Identifier: Apache-2.0
"""check.py NAME=COUNT...: whether the tables fit together, and hold as many rows as were read."""
import sys

import step

# Countries without inhabitants, and so without a clock: Bouvet Island, and Heard and McDonald Islands.
UNINHABITED = {"BV", "HM"}

told = {name: int(count) for name, count in (word.split("=") for word in sys.argv[1:])}
places, clocks = step.read_table("places"), step.read_table("clocks")
codes = {p["code"] for p in places}
with_clock = {code for c in clocks for code in c["countries"].split(",")}
subdivisions = step.read_table("subdivisions")

CHECKS = [
    ("every country was carried over", len(places) == told["countries"]),
    ("every country has a code of its own", len(codes) == len(places)),
    ("every zone was carried over", len(clocks) == told["zones"]),
    ("the subdivisions add up", sum(int(p["subdivisions"]) for p in places) == told["subdivisions"]),
    ("every subdivision lies in a country", {s["country"] for s in subdivisions} <= codes),
    ("every subdivision has a code of its own", len({s["code"] for s in subdivisions}) == len(subdivisions)),
    ("every zone lies in countries that exist", with_clock <= codes),
    ("every inhabited country has a zone", codes - with_clock <= UNINHABITED),
    ("every zone lies on the map",
     all(abs(float(c["latitude"])) <= 90 and abs(float(c["longitude"])) <= 180 for c in clocks)),
    ("every zone is at most 14 hours from UTC", all(c["offset"] and abs(int(c["offset"])) <= 14 * 60 for c in clocks)),
    ("the eras add up", sum(int(c["eras"]) for c in clocks) == told["eras"]),
]

for i, (text, holds) in enumerate(CHECKS):
    print("ok    " if holds else "FAILED", text)
    step.progress(100 * (i + 1) // len(CHECKS), text)
failed = [text for text, holds in CHECKS if not holds]
if failed:
    sys.exit("the tables do not fit together: " + "; ".join(failed))
step.hand_on(checks=len(CHECKS))
