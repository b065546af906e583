"""This machine → whether its Python, its encoder, its fonts and its clock are fit for a run."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner import catalog
from runner.clock import stamp
from runner.doctor.checks import Check, bad, ok, warn
from runner.errors import TakeError
from runner.version import version

# A character each of simplified and traditional Chinese, Japanese and Korean: prompts come in all of them.
_SAMPLE = "镜頭カ한"
_REINSTALL = "pip install --force-reinstall --only-binary :all: av pillow"


def machine(now: float) -> Iterator[Check]:
    """`now` is the machine's time, in seconds since the epoch."""
    yield ok("python", f"{platform.python_version()} on {platform.system()}, callsheet {version()}")
    yield _encoder()
    yield _fonts()
    yield _clock(now)


def _encoder() -> Check:
    """Draw and encode a card of two frames, and read it again: what the studio and every check of a render need."""
    try:
        # PyAV and Pillow are loaded here, so that a broken one is told of instead of met at start-up.
        from runner.probe import check_video
        from runner.studio.animatic import Card, render

        card = Card(take="s010@1", model="wan2.7-t2v", prompt="A lighthouse", seed=None, width=64, height=64, seconds=0.25, fps=8)
        with tempfile.TemporaryDirectory(prefix="callsheet-") as folder:
            target = Path(folder, "card.mp4")
            render(card, target)
            seen = check_video(target)
    except TakeError as error:
        return bad("encoder", error.fact, error.hint or _REINSTALL)
    except (ImportError, OSError, ValueError) as error:
        return bad("encoder", f"PyAV or Pillow does not work: {error}", _REINSTALL)
    return ok("encoder", f"PyAV and Pillow made a card of {card.frames} frames ({seen.format}, {seen.bytes:,} bytes) and read it")


def _fonts() -> Check:
    try:
        from runner.studio.faces import faces, missing_font_hint  # brings Pillow
    except ImportError as error:
        return bad("fonts", f"Pillow does not work: {error}", _REINSTALL)
    found = [Path(face.path).name for face in faces() if face.path]
    have = f"the studio's cards use Pillow's own and {', '.join(found[:3]) or 'none'} of this machine's"
    if hint := missing_font_hint(_SAMPLE):
        return warn("fonts", f"{have}; Chinese, Japanese or Korean prompts would show boxes on the studio's cards", hint)
    return ok("fonts", have)


def _clock(now: float) -> Check:
    """No day can be earlier than the one on which the catalogue's facts were read."""
    facts = [one.about for one in catalog.load().models.values()] + [one.spec for one in catalog.load().providers.values()]
    newest = max((str(one["checked"]) for one in facts if "checked" in one), default="")
    said = stamp(now)
    if said[:10] < newest:
        return warn("clock", f"{said}, earlier than this callsheet itself ({newest})", "set the clock of this machine")
    return ok("clock", said)
