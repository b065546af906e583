"""The built-in profile `preview`: every shot once, by the studio, free, whatever the manifest says of providers and takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner import catalog
from runner.assets import Medium
from runner.catalog import Provider
from runner.shots import Shot

NAME = "preview"
PROVIDER = "studio"


def output(said: str, usual: str) -> str:
    """A folder of its own: an output without ${manifest} would be the film's own."""
    return said if "${manifest}" in said else usual


def studio(provider: Provider) -> Provider:
    """The studio without the times and faults that a manifest gives it to rehearse with."""
    return catalog.provider_of({name: value for name, value in provider.spec.items() if name not in {"seconds", "faults"}})


def once(shots: Sequence[Shot]) -> list[Shot]:
    """One take a shot, so that no chain waits for a pick; a link to a certain take is one to the only one."""
    return [_once(shot) for shot in shots]


def _once(shot: Shot) -> Shot:
    if any(medium.link and medium.link.take for medium in shot.links):
        shot = shot.with_media(tuple(_untied(medium) for medium in shot.media))
    return replace(shot, takes=1) if shot.takes > 1 else shot


def _untied(medium: Medium) -> Medium:
    return replace(medium, link=replace(medium.link, take=None)) if medium.link else medium
