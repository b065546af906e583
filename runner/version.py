"""Which callsheet this is; the package's own metadata is made from this line."""

from __future__ import annotations

# Written here, since to ask the installed distribution takes as long as everything else that `--version` does.
VERSION = "0.1.0"


def version() -> str:
    """The version, as `callsheet --version` says it."""
    return VERSION
