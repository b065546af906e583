"""A local media file against what its model accepts → what is wrong with it, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.judge import Fault
from runner.probe import Probe

_ALIKE = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "qt": "mov", "m4v": "mp4", "wave": "wav"}


def misfits(limits: Mapping[str, Any], probe: Probe) -> Iterator[Fault]:
    """Each limit of an `x-media` rule that the file breaks, with a path-less Fault (the caller knows the place)."""
    if probe.kind != limits.get("kind", probe.kind):
        yield _fault("E403", f"is {_a(probe.kind)} ({probe.format}), the model wants {_a(str(limits['kind']))}")
        return
    formats = [_ALIKE.get(name, name) for name in limits.get("formats", ())]
    if formats and _ALIKE.get(probe.format, probe.format) not in formats:
        yield _fault("E403", f"is {probe.format}, the model takes {', '.join(formats)}")
    if probe.alpha and limits.get("alpha") is False:
        yield _fault(
            "E408", "has an alpha channel (transparency), the model refuses that", "save it without alpha, as JPEG for example"
        )
    yield from _sides(limits, probe)
    if (most := limits.get("bytes")) and probe.bytes > most:
        yield _fault("E406", f"is {mega(probe.bytes)}, the most is {mega(most)}")
    if (span := limits.get("seconds")) and probe.seconds is not None and not span[0] <= probe.seconds <= span[1]:
        yield _fault("E407", f"lasts {probe.seconds:.2f} s, allowed are {span[0]:g} to {span[1]:g} s")


def _sides(limits: Mapping[str, Any], probe: Probe) -> Iterator[Fault]:
    if probe.width is None or probe.height is None:
        return
    size = f"{probe.width}×{probe.height}"  # noqa: RUF001 - the sign that people write
    if (sides := limits.get("side")) and not all(sides[0] <= side <= sides[1] for side in (probe.width, probe.height)):
        yield _fault("E404", f"is {size}, each side must have {sides[0]} to {sides[1]} pixels")
    if (ratio := limits.get("ratio")) and not ratio[0] <= probe.width / probe.height <= ratio[1]:
        yield _fault("E405", f"is {size}, its width to height must lie between {ratio[0]:g} and {ratio[1]:g}")


def _fault(code: str, message: str, hint: str | None = None) -> Fault:
    return Fault(code=code, path=(), message=message, hint=hint)


def _a(kind: str) -> str:
    return {"image": "a picture", "video": "a video", "audio": "sound"}.get(kind, kind)


def mega(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1_048_576:.1f} MB" if count >= 1_048_576 else f"{count / 1024:.1f} kB"
