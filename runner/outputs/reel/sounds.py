"""Parts of a reel → its one track of sound: each clip's own under its pictures, to the sample, and silence where there is none."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError

from runner.outputs.reel.footage import opened
from runner.studio.sound import AT_ONCE, FORMAT, LAYOUT, RATE, silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.outputs.reel.footage import Footage
    from runner.outputs.reel.timeline import Part

BIT_RATE = 192_000
_JITTER = RATE // 50  # samples that written times may be off before it counts as a hole: formats round to milliseconds


def prepared(container: Any) -> Any:
    stream = container.add_stream("aac", rate=RATE, layout=LAYOUT)
    stream.bit_rate = BIT_RATE
    return stream


def encoded(parts: Sequence[Part], fps: Fraction, stream: Any, damaged: Callable[[Part, str], None]) -> Iterator[Any]:
    """The whole track. Encoded anew even where pictures are copied: AAC's packets of 1024 samples end at no seam."""
    store, at = av.AudioFifo(), 0
    for frame in _track(parts, fps, damaged):
        frame.pts = None
        store.write(frame)
        while store.samples >= AT_ONCE:
            yield from _encode(stream, store.read(AT_ONCE), at)
            at += AT_ONCE
    if store.samples:
        yield from _encode(stream, store.read(0, partial=True), at)
    yield from stream.encode(None)


def _encode(stream: Any, frame: Any, at: int) -> Iterator[Any]:
    frame.pts, frame.time_base = at, Fraction(1, RATE)
    yield from stream.encode(frame)


def _track(parts: Sequence[Part], fps: Fraction, damaged: Callable[[Part, str], None]) -> Iterator[Any]:
    for part in parts:
        count = round((part.start + part.frames) * RATE / fps) - round(part.start * RATE / fps)
        given = 0
        if part.source.footage:
            try:
                for frame in _within(part.source.footage, count):
                    yield frame
                    given += frame.samples
            except FFmpegError:
                damaged(part, f"its sound cannot be read from {given / RATE:.1f} s on")
        yield from _quiet(count - given)


def _quiet(count: int) -> Iterator[av.AudioFrame]:
    while count > 0:
        yield silence(min(count, AT_ONCE))
        count -= AT_ONCE


def _within(footage: Footage, count: int) -> Iterator[Any]:
    """At most `count` samples from the time of the first picture on; holes are silent, what overlaps is dropped."""
    store: Any = av.AudioFifo()
    given = 0
    for start, frame in _heard(footage):
        if start > given + store.samples:
            for still in _quiet(min(start, count) - given - store.samples):
                store.write(still)
        surplus = given + store.samples - start  # of this frame, before what is wanted
        if surplus >= frame.samples:
            continue
        frame.pts = None
        store.write(_tail(frame, surplus) if surplus > 0 else frame)
        while store.samples and given < count:
            some = store.read(min(store.samples, count - given, AT_ONCE))
            given += some.samples
            yield some
        if given == count:
            return


def _tail(frame: Any, surplus: int) -> Any:
    store: Any = av.AudioFifo()
    store.write(frame)
    store.read(surplus)
    kept = store.read()
    kept.pts = None
    return kept


def _heard(footage: Footage) -> Iterator[tuple[int, Any]]:
    """Frames as the track has them, each with the sample it begins at, counted from the first picture."""
    with opened(footage.path) as container:
        if not container.streams.audio:
            return
        resampler: Any = None
        kind: tuple[Any, ...] = ()
        at, due = 0, Fraction(0)
        for frame in container.decode(container.streams.audio[0]):
            time = frame.pts * frame.time_base - footage.zero if frame.pts is not None else due
            found = (frame.format.name, frame.layout.name, frame.sample_rate)
            if found != kind or abs(time - due) * RATE > _JITTER:
                for more in resampler.resample(None) if resampler else ():
                    yield at, more
                    at += more.samples
                resampler, kind = av.AudioResampler(FORMAT, LAYOUT, RATE), found
                at, due = round(time * RATE), time
            due += Fraction(frame.samples, frame.sample_rate)
            frame.pts = None
            for more in resampler.resample(frame):
                yield at, more
                at += more.samples
        for more in resampler.resample(None) if resampler else ():
            yield at, more
            at += more.samples
