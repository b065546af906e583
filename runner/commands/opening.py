"""`--open`: a file that was written → the browser or viewer of whoever sits before the machine, or a word on why not."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import click


def opened(path: Path) -> None:
    """Show the file, by the program that the machine or BROWSER names; nothing fails where there is none."""
    why = withheld(os.environ)
    if why is None and not webbrowser.open(path.absolute().as_uri()):
        why = "no browser was found"
    if why:
        click.echo(f"not opened: {why}", err=True)


def withheld(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Why nothing is opened; None where somebody can see it. A browser that is named is one, wherever it shows its pages."""
    if environ.get("CI", "").lower() not in {"", "0", "false"}:
        return "CI is set, so nobody is looking"
    if platform in {"win32", "darwin", "cygwin"} or any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return None
    return "there is no display here"
