"""`python -m tests.bench [NAME…] [--readme]` → every goal beside what a user would otherwise pick, one table a benchmark.

Each benchmark is a process of its own, one after the other, and every goal a ratio of two figures of one run: let the
machine rest meanwhile. With `--readme` the tables go into the README, with their date and machine; about half an hour.
The soak is not among them: `python -m tests.bench.soak`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.table import Row, show

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
NAMES = ("startup", "loading", "transitions", "http", "many", "polling", "makespan", "download", "video")
_MARKS = "<!-- performance: begin -->\n", "<!-- performance: end -->"


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("→")[2].partition(".")[0])
    asked.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    asked.add_argument("--readme", action="store_true", help="write the tables into the README")
    how = asked.parse_args()
    if unknown := set(how.names) - set(NAMES):
        asked.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found = []
    for name in how.names or NAMES:
        title, rows = measured(name)
        show(title, rows, as_json=False)
        print(flush=True)
        found.append((title, rows))
        if how.readme:  # after each: what has been measured stands, whatever becomes of the next
            begin, end = _MARKS
            text = README.read_text(encoding="utf-8")
            told = begin + "\n".join(markdown(found)) + "\n" + end
            pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
            README.write_text(re.sub(pattern, lambda _, told=told: told, text, flags=re.DOTALL), encoding="utf-8")
    return 1 if any(row.ok is False for _, rows in found for row in rows) else 0


def measured(name: str) -> tuple[str, list[Row]]:
    """One benchmark's title and rows, from a process of its own."""
    command = [sys.executable, "-m", f"tests.bench.{name}", "--json"]
    said = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True).stdout
    try:
        told = json.loads(said)
    except ValueError:
        return name, [Row(f"{name} ended without a table", "", ok=False)]
    return told["title"], [Row(**row) for row in told["rows"]]


def markdown(found: list[tuple[str, list[Row]]]) -> list[str]:
    """The tables as the README has them."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine}; `python -m tests.bench --readme` writes these lines.", ""]
    lines += ["| what | callsheet | otherwise | limit | goal | |", "|---|---|---|---|---|---|"]
    for title, rows in found:
        lines.append(f"| **{_cell(title)}** | | | | | |")
        for row in rows:
            verdict = {True: "met", False: "**missed**", None: ""}[row.ok]
            lines.append(f"| {' | '.join(map(_cell, (row.what, row.ours, row.other, row.limit, row.goal)))} | {verdict} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


if __name__ == "__main__":
    sys.exit(main())
