# SPDX-License-Identifier: Apache-2.0
"""load.py: all tables into a new SQLite database, which takes the place of the old one in one step."""
import os
import sqlite3

import step

SCHEMA = """
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL, subdivisions INTEGER NOT NULL, type TEXT NOT NULL);
CREATE TABLE subdivision (code TEXT PRIMARY KEY, country TEXT NOT NULL REFERENCES country, name TEXT NOT NULL,
                          type TEXT NOT NULL);
CREATE TABLE currency (code TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE zone (name TEXT PRIMARY KEY, latitude REAL NOT NULL, longitude REAL NOT NULL,
                   offset_minutes INTEGER NOT NULL, eras INTEGER NOT NULL);
CREATE TABLE zone_country (zone TEXT NOT NULL REFERENCES zone, country TEXT NOT NULL REFERENCES country,
                           PRIMARY KEY (zone, country));
"""

database = os.path.join(step.OUT, "report.db")
made = database + ".new"
if os.path.exists(made):
    os.remove(made)

clocks = step.read_table("clocks")
tables = {
    "country": [tuple(r.values()) for r in step.read_table("places")],
    "subdivision": [tuple(r.values()) for r in step.read_table("subdivisions")],
    "currency": [tuple(r.values()) for r in step.read_table("currencies")],
    "zone": [(c["zone"], c["latitude"], c["longitude"], c["offset"], c["eras"]) for c in clocks],
    "zone_country": [(c["zone"], code) for c in clocks for code in c["countries"].split(",")],
}

db = sqlite3.connect(made)
db.executescript("PRAGMA foreign_keys = ON;" + SCHEMA)
with db:
    for i, (name, rows) in enumerate(tables.items()):
        step.progress(100 * i // len(tables), name)
        db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
total = sum(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables)
db.close()
os.replace(made, database)

step.hand_on(database=database, rows=total)
print(f"{total} rows in {database}")
