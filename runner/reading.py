"""A manifest's path → Manifest: the door's `read`, on its own because `check` needs nothing else of the house."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner import manifest as manifests
from runner.manifest import Seen
from runner.shots import Manifest

__all__ = ["Seen", "read"]


def read(
    path: str | Path,
    *,
    profile: str | None = None,
    provider: str | None = None,
    allowed: Sequence[str | Path] = (),
    environ: Mapping[str, str] = os.environ,
    seen: Seen | None = None,
) -> Manifest:
    """Read and check a manifest, without any network. Raises ManifestError, which carries every problem.

    `seen` is told how far it is, for whoever looks on from another thread.
    """
    folders = [Path(one) for one in allowed]
    return manifests.read(Path(path), environ=environ, profile=profile, provider=provider, allowed=folders, seen=seen)
