"""A sound file → so many samples of it in frames for the encoder, cut at the end or followed by silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from runner.errors import TakeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = 48_000
LAYOUT = "stereo"
FORMAT = "fltp"
AT_ONCE = 1024  # samples in a frame, as AAC has them


def sound(path: Path | None, count: int) -> Iterator[av.AudioFrame]:
    """`count` samples a channel at 48 kHz, stereo, with their times, silent without a file; TakeError for an unreadable one."""
    store, heard, at = av.AudioFifo(), iter(()) if path is None else decoded(path), 0
    while at < count:
        asked = min(AT_ONCE, count - at)
        while store.samples < asked and (more := next(heard, None)) is not None:
            store.write(more)
        frame = store.read(min(asked, store.samples)) or silence(asked)
        frame.pts = at
        yield frame
        at += frame.samples


def decoded(path: Path) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler(FORMAT, LAYOUT, RATE)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise TakeError(f"{path.name} has no sound", code="InvalidFile")
            for frame in container.decode(container.streams.audio[0]):
                yield from timeless(resampler.resample(frame))
            yield from timeless(resampler.resample(None))
    except (FFmpegError, OSError) as why:
        raise TakeError(f"{path.name} is not a sound that can be read", code="InvalidFile") from why


def timeless(frames: list[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Without times, since a file's own may have holes, which the store refuses."""
    for frame in frames:
        frame.pts = None
        yield frame


def silence(count: int) -> av.AudioFrame:
    frame = av.AudioFrame(format=FORMAT, layout=LAYOUT, samples=count)
    frame.sample_rate = RATE
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame
