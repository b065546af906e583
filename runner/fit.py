"""A local media file against what its model accepts → what is wrong with it, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.judge import Fault
from runner.probe import Probe

_HAIR = 0.01
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
    yield from _size(limits, probe.bytes)
    if (span := limits.get("seconds")) and probe.seconds is not None and not _within(probe.seconds, span):
        yield _fault("E407", f"lasts {probe.seconds:.2f} s, allowed are {_span(span)} s")
    if (least := limits.get("least_fps")) and probe.fps is not None and probe.fps < least:
        yield _fault("E413", f"has {probe.fps:g} frames a second, {_above(least)}")
    cut = limits.get("cut_to")
    if isinstance(cut, (int, float)) and probe.seconds is not None and probe.seconds > cut:
        yield _fault("W407", f"lasts {probe.seconds:.2f} s, the service cuts it at {cut:g} s without a word")


def document_misfits(limits: Mapping[str, Any], suffix: str, size: int) -> Iterator[Fault]:
    """As `misfits`, for a document, of which only its ending and its bytes are looked at."""
    formats = limits.get("formats", ())
    if formats and suffix.lower().lstrip(".") not in formats:
        yield _fault("E403", f"ends in {suffix or 'nothing'}, the model takes {', '.join(formats)}")
    yield from _size(limits, size)


def _size(limits: Mapping[str, Any], size: int) -> Iterator[Fault]:
    if (most := limits.get("bytes")) and size > most:
        yield _fault("E406", f"is {mega(size)}, the most is {mega(most)}")


def _within(value: float, span: Sequence[float | None]) -> bool:
    return (span[0] is None or value >= span[0]) and (span[1] is None or value <= span[1])


def _span(span: Sequence[float | None]) -> str:
    least, most = span
    if least is None or most is None:
        return f"at least {least:g}" if least is not None else f"{_below(most)}"
    return f"{least:g} to {most:g}"


def _below(most: float | None) -> str:
    """A limit as its source says it: files write "less than 20" as a hair below 20."""
    whole = round(most or 0)
    return f"less than {whole}" if most is not None and 0 < whole - most < _HAIR else f"at most {most:g}"


def _above(least: float) -> str:
    whole = round(least)
    return f"it needs more than {whole}" if 0 < least - whole < _HAIR else f"the least is {least:g}"


def _sides(limits: Mapping[str, Any], probe: Probe) -> Iterator[Fault]:
    if probe.width is None or probe.height is None:
        return
    size = f"{probe.width}×{probe.height}"  # noqa: RUF001 - the sign that people write
    sides = sorted((probe.width, probe.height))
    if (limit := limits.get("side")) and not all(_within(side, limit) for side in sides):
        yield _fault("E404", f"is {size}, each side must have {_span(limit)} pixels")
    elif (limit := limits.get("safe_side")) and not all(_within(side, limit) for side in sides):
        yield _fault("W404", f"is {size}; older pages of the service allow sides of {_span(limit)} pixels only")
    if (ratio := limits.get("ratio")) and not _within(probe.width / probe.height, ratio):
        yield _fault("E405", f"is {size}, its width to height must be {_span(ratio)}")


def _fault(code: str, message: str, hint: str | None = None) -> Fault:
    return Fault(code=code, path=(), message=message, hint=hint)


def _a(kind: str) -> str:
    return {"image": "a picture", "video": "a video", "audio": "sound"}.get(kind, kind)


def mega(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1_048_576:.1f} MB" if count >= 1_048_576 else f"{count / 1024:.1f} kB"
