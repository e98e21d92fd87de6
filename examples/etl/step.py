# SPDX-License-Identifier: Apache-2.0
"""What the steps share: the way to weft, and tables as CSV files in the folder $OUT."""
import csv
import json
import os

OUT = os.environ.get("OUT", "out")


def progress(percent, text=""):
    """Shown beside the task while it runs. Without weft it goes nowhere."""
    with open(os.environ.get("WEFT_PROGRESS", os.devnull), "a") as f:
        f.write(f"{percent} {text}\n")


def hand_on(**values):
    """What later tasks refer to as ${tasks.NAME.output.KEY}."""
    with open(os.environ.get("WEFT_OUTPUT", os.devnull), "w") as f:
        json.dump(values, f)


def write_table(name, columns, rows):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name + ".csv"), "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(columns)
        out.writerows(rows)


def read_table(name):
    """The rows of a table as dicts of texts."""
    with open(os.path.join(OUT, name + ".csv"), newline="") as f:
        return list(csv.DictReader(f))
