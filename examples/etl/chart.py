# SPDX-License-Identifier: Apache-2.0
"""chart.py DATABASE TOP: the TOP countries with the most subdivisions, as bars in an SVG file."""
import os
import sqlite3
import sys
from xml.sax.saxutils import escape

import step

ROW, LEFT, WIDTH = 22, 180, 420

database, top = sys.argv[1], int(sys.argv[2])
rows = sqlite3.connect(database).execute(
    "SELECT name, subdivisions, type FROM country ORDER BY subdivisions DESC, name LIMIT ?", (top,)).fetchall()

svg = [
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" height="{ROW * (len(rows) + 2)}"'
    ' font-family="sans-serif" font-size="13">',
    f'<text x="{LEFT}" y="{ROW - 6}" font-weight="bold">Subdivisions of countries (ISO 3166-2)</text>',
]
for i, (name, count, kind) in enumerate(rows):
    y, length = ROW * (i + 1), max(1, round(WIDTH * count / rows[0][1]))
    svg += [
        f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{y + 3}" width="{length}" height="{ROW - 6}" fill="#2a6f97"/>',
        f'<text x="{LEFT + length + 6}" y="{y + 15}">{count} <tspan fill="#666">mostly {escape(kind.lower())}</tspan></text>',
    ]
svg.append("</svg>")

chart = os.path.join(step.OUT, "chart.svg")
with open(chart, "w") as f:
    f.write("\n".join(svg) + "\n")
step.hand_on(chart=chart, bars=len(rows))
print(f"{len(rows)} bars in {chart}")
