#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Work on the records of a queue until it is empty, then tell how it went.

    worker.py [QUEUE]        default: records; the server is WEFT_SERVER, or the one of this machine
"""
import os
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))
import weft  # noqa: E402


def label(record):
    """What a parcel's label shows, in ASCII. A name that does not fold into it is somebody's work."""
    folded = unicodedata.normalize("NFKD", record["name"])
    name = "".join(c for c in folded if unicodedata.category(c)[0] != "M")
    if not name.isascii():
        odd = next(c for c in name if not c.isascii())
        raise ValueError(f"{record['code']}: {odd} of {record['name']} does not fold into ASCII")
    return {"label": f"{name.upper()}, {record['code'][:2]}"}


def main():
    queue = sys.argv[1] if len(sys.argv) > 1 else "records"
    total = {"claimed": 0, "succeeded": 0, "failed": 0, "errors": []}
    with weft.Client().worker(slots=200) as worker:
        while True:
            summary = weft.run_flow(worker, queue, label, batch=100)
            if not summary["claimed"]:
                break
            for key in total:
                total[key] += summary[key]
    rate = 100 * total["succeeded"] / total["claimed"] if total["claimed"] else 0
    print(f"{worker.name} (Python): {total['claimed']} records, {rate:.2f} % succeeded")
    for error in total["errors"][:3]:
        print(f"  {error['error']}")


if __name__ == "__main__":
    main()
