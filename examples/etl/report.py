# SPDX-License-Identifier: Apache-2.0
"""report.py DATABASE TOP CHECKS CHART: what was found, printed and kept as report.txt."""
import os
import sqlite3
import sys

import step

database, top, checks, chart = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
db = sqlite3.connect(database)
text = []


def say(line):
    print(line)
    text.append(line + "\n")


def count(table):
    return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


say(f"{count('country')} countries, {count('subdivision')} subdivisions, {count('currency')} currencies, "
    f"{count('zone')} time zones")

say(f"\nThe {top} countries with the most subdivisions")
for name, n, kind in db.execute(
        "SELECT name, subdivisions, type FROM country ORDER BY subdivisions DESC, name LIMIT ?", (top,)):
    say(f"  {name:32} {n:4}  mostly {kind.lower()}")

say(f"\nThe {top} countries with the most time zones, and how often the rules of their clocks changed")
for name, zones, eras in db.execute(
        "SELECT c.name, count(*), sum(z.eras - 1) FROM country c JOIN zone_country zc ON zc.country = c.code"
        " JOIN zone z ON z.name = zc.zone GROUP BY c.code ORDER BY 2 DESC, c.name LIMIT ?", (top,)):
    say(f"  {name:32} {zones:4}  {eras} times")

east, west = (db.execute(f"SELECT name, offset_minutes FROM zone ORDER BY offset_minutes {way}, name").fetchone()
              for way in ("DESC", ""))
say(f"\nFrom {west[0]} (UTC{west[1] / 60:+g} h) to {east[0]} (UTC{east[1] / 60:+g} h)")
say(f"{checks}\ndatabase {os.path.abspath(database)}\nchart    {os.path.abspath(chart)}")
with open(os.path.join(step.OUT, "report.txt"), "w") as f:
    f.writelines(text)
