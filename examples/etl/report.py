# SPDX-License-Identifier: Apache-2.0
"""report.py DATABASE TOP CHECKS CHART: what was found, as text."""
import os
import sqlite3
import sys

database, top, checks, chart = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
db = sqlite3.connect(database)


def count(table):
    return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


print(f"{count('country')} countries, {count('subdivision')} subdivisions, {count('currency')} currencies, "
      f"{count('zone')} time zones")

print(f"\nThe {top} countries with the most subdivisions")
for name, n, kind in db.execute(
        "SELECT name, subdivisions, type FROM country ORDER BY subdivisions DESC, name LIMIT ?", (top,)):
    print(f"  {name:32} {n:4}  mostly {kind.lower()}")

print(f"\nThe {top} countries with the most time zones, and how often the rules of their clocks changed")
for name, zones, eras in db.execute(
        "SELECT c.name, count(*), sum(z.eras - 1) FROM country c JOIN zone_country zc ON zc.country = c.code"
        " JOIN zone z ON z.name = zc.zone GROUP BY c.code ORDER BY 2 DESC, c.name LIMIT ?", (top,)):
    print(f"  {name:32} {zones:4}  {eras} times")

east, west = (db.execute(f"SELECT name, offset_minutes FROM zone ORDER BY offset_minutes {way}, name").fetchone()
              for way in ("DESC", ""))
print(f"\nFrom {west[0]} (UTC{west[1] / 60:+g} h) to {east[0]} (UTC{east[1] / 60:+g} h)")
print(f"{checks}\ndatabase {os.path.abspath(database)}\nchart    {os.path.abspath(chart)}")
