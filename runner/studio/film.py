"""Frames as planes, and perhaps a sound → an MP4 file (H.264, AAC) whose bytes are the same each time."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.codec.codec import UnknownCodecError

from runner.errors import TakeError
from runner.studio.sound import LAYOUT, RATE, sound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.studio.card import Card
    from runner.studio.planes import Planes

ENCODERS = ("libx264", "libopenh264", "h264")  # the last one: whatever this build has
# One thread, and no instructions that only some processors have: the bytes must not depend on the machine. The quantiser
# is fixed, because a rate that is weighed frame by frame costs a slate half as much again, and is no better for one.
X264 = {"preset": "ultrafast", "qp": "20", "x264-params": "cpu-independent=1"}
BITEXACT = 1 << 23  # AV_CODEC_FLAG_BITEXACT: no version of the encoder in the file


def write(frames: Iterator[Planes], card: Card, target: Path) -> None:
    """Encode `card.frames` frames, and the card's sound if it has one; raises TakeError where this PyAV has no encoder."""
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        picture = picture_stream(container, card)
        heard = deque(sound_packets(container, card))
        for at, planes in enumerate(frames):
            while heard and heard[0].pts * heard[0].time_base <= Fraction(at, card.fps):
                container.mux(heard.popleft())
            container.mux(picture.encode(frame_of(planes, at, card.fps)))
        container.mux(picture.encode(None))
        container.mux(list(heard))


def picture_stream(container: av.container.OutputContainer, card: Card) -> Any:
    name = encoder()
    stream: Any = container.add_stream(name, rate=card.fps, options=X264 if name == "libx264" else {})
    stream.width, stream.height, stream.pix_fmt = card.width, card.height, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.flags |= BITEXACT
    context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1  # limited range, BT.709
    context.gop_size = card.fps * 2
    if name != "libx264":
        context.bit_rate = card.width * card.height * card.fps // 10
    return stream


def encoder() -> str:
    """The name of an H.264 encoder that this PyAV has."""
    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except (UnknownCodecError, ValueError):
            continue
        return name
    hint = "install PyAV from its wheels: pip install --force-reinstall --only-binary :all: av"
    raise TakeError("this PyAV has no H.264 encoder", code="NoEncoder", hint=hint)


def frame_of(planes: Planes, at: int, fps: int) -> av.VideoFrame:
    frame = av.VideoFrame(planes.y.width, planes.y.height, "yuv420p")
    for plane, picture in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        plane.update(picture.tobytes("raw", "L", plane.line_size, 1))
    frame.pts, frame.time_base = at, Fraction(1, fps)
    return frame


def sound_packets(container: av.container.OutputContainer, card: Card) -> Iterator[Any]:
    """The whole sound, encoded: seconds of it are small, and the pictures' packets can then be laid between."""
    if card.audio is None and not card.sounds:
        return
    stream: Any = container.add_stream("aac", rate=RATE, layout=LAYOUT)
    stream.bit_rate = 128_000
    stream.codec_context.flags |= BITEXACT
    stream.codec_context.thread_count = 1
    for frame in sound(card.audio, round(card.frames * RATE / card.fps)):
        frame.time_base = Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)
