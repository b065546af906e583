"""Takes that are absent → what a person can do about them, as command lines to copy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner import tariff
from runner.commands.answering import spoken
from runner.lock import shot_of
from runner.outputs.text import few, priced
from runner.shots import Manifest

_FEW = 8


def advice(manifest: Manifest, takes: Sequence[str]) -> Iterable[str]:
    """No line where no take is absent; with the price of rendering them anew."""
    if not takes:
        return
    shots = {shot.id: shot for shot in manifest.shots}
    costs = [tariff.expected(shot, manifest.provider(shot)) for shot in (shots[shot_of(take)] for take in takes)]
    words = " ".join(takes) if len(takes) <= _FEW else "--state absent"
    yield f"absent (saved once, but neither here nor with the provider any more): {few(takes)}"
    yield f"to put the files back, found by their content: {spoken('collect', manifest, '--from DIR')}"
    yield f"to render {'them' if takes[1:] else 'it'} anew ({priced(costs)}): {spoken('again', manifest, words)}"
