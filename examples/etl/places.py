# SPDX-License-Identifier: Apache-2.0
"""places.py: for every country the number of its subdivisions, and what most of them are called."""
from collections import Counter

import step

types = {}
for s in step.read_table("subdivisions"):
    types.setdefault(s["country"], Counter())[s["type"]] += 1

rows = []
countries = step.read_table("countries")
for i, c in enumerate(countries):
    count = types.get(c["code"], Counter())
    # The most frequent type, of equally frequent ones the first by name.
    most = min(count, key=lambda t: (-count[t], t), default="")
    rows.append((c["code"], c["name"], sum(count.values()), most))
    if i % 50 == 0:
        step.progress(100 * i // len(countries), c["name"])

step.write_table("places", ("code", "name", "subdivisions", "type"), rows)
step.hand_on(rows=len(rows))
print(f"{len(rows)} countries, {sum(1 for r in rows if r[2] == 0)} of them undivided")
