"""The installed distribution → which callsheet this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed


def version() -> str:
    """The version, or that there is none: a checkout that nobody installed."""
    try:
        return _installed("callsheet")
    except PackageNotFoundError:
        return "(not installed)"
