#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The 5 000 subdivisions of ISO 3166-2, a record on each line, as `weft queue add` takes them."""
import json

with open("/usr/share/iso-codes/json/iso_3166-2.json", encoding="utf-8") as f:
    for record in json.load(f)["3166-2"]:
        print(json.dumps(record, ensure_ascii=False))
