# SPDX-License-Identifier: Apache-2.0
"""extract.py ISO_CODES ZONEINFO: one table each of countries, subdivisions, currencies, zones and eras."""
import json
import os
import sys

import step

iso_codes, zoneinfo = sys.argv[1:]


def iso(number):
    with open(os.path.join(iso_codes, f"iso_{number}.json")) as f:
        return json.load(f)[number]


def lines(name):
    with open(os.path.join(zoneinfo, name)) as f:
        return f.read().splitlines()


def eras():
    """(zone, offset from UTC) of every stretch of standard time, in order, and the release."""
    zone, found, release = None, [], "unknown"
    for line in lines("tzdata.zi"):
        match line.split():
            case ["#", "version", word]:
                release = word
            case ["Z", name, offset, *_]:
                zone = name
                found.append((zone, offset))
            case ["R" | "L" | "#", *_] | []:
                zone = None
            case [offset, *_] if zone:  # the era after the one in the line before
                found.append((zone, offset))
    return found, release


step.progress(0, "ISO codes")
countries = [(c["alpha_2"], c.get("common_name", c["name"])) for c in iso("3166-1")]
subdivisions = [(s["code"], s["code"].split("-")[0], s["name"], s["type"]) for s in iso("3166-2")]
currencies = [(c["alpha_3"], c["name"]) for c in iso("4217")]
step.write_table("countries", ("code", "name"), countries)
step.write_table("subdivisions", ("code", "country", "name", "type"), subdivisions)
step.write_table("currencies", ("code", "name"), currencies)

step.progress(50, "time zones")
zones = [l.split("\t")[:3] for l in lines("zone1970.tab") if l and not l.startswith("#")]
found, release = eras()
step.write_table("zones", ("countries", "place", "zone"), zones)
step.write_table("eras", ("zone", "offset"), found)

step.hand_on(countries=len(countries), subdivisions=len(subdivisions), currencies=len(currencies),
             zones=len(zones), eras=len(found), tzdata=release)
print(f"{len(countries)} countries, {len(subdivisions)} subdivisions, {len(currencies)} currencies, "
      f"{len(zones)} zones with {len(found)} eras")
