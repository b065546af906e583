"""What `export` can make: a format is one module of this folder and one word in this list."""

from __future__ import annotations

from collections.abc import Mapping

from runner.outputs.export import edl, lines, markdown, otio, sheet
from runner.outputs.export.film import Format

FORMATS: Mapping[str, Format] = {module.FORMAT.name: module.FORMAT for module in (otio, edl, sheet, lines, markdown)}
