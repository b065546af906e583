"""Parts of a reel → its packets of pictures: copied as they are, or shown anew at the reel's size and rate."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError
from av.filter import Graph

from runner.outputs.reel.footage import Footage, even, opened
from runner.studio.film import encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.cut import Clip
    from runner.outputs.reel.slates import Slates
    from runner.outputs.reel.timeline import Look, Part

# Nearly what the eye can tell from the clip itself, and several times faster than x264's own default.
X264 = {"preset": "veryfast", "crf": "18"}
_EARLY = Fraction(1, 20)  # of a frame: a picture may be written a little late, where times are rounded to milliseconds
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}  # AVCOL_SPC_…
_FULL = 2  # AVCOL_RANGE_JPEG
_TURNS = {90: ("transpose=cclock",), -270: ("transpose=cclock",), 180: ("hflip", "vflip"), -180: ("hflip", "vflip")}
_BACK = ("transpose=clock",)
_NONE, _KEY = 0, 1  # AV_PICTURE_TYPE_NONE, _I


def copied(parts: Sequence[Part], look: Look, stream: Any, slates: Slates, delay: int) -> Iterator[Any]:
    """The packets of every part with new times, whole frames of the reel's rate; `delay` is the greatest of any part."""
    for part in parts:
        footage = part.source.footage or slates.draw(part.source.clip, part.source.note, part.frames)
        with opened(footage.path) as container:
            sent = 0
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                shown = round((packet.pts * packet.time_base - footage.zero) * look.fps)
                packet.stream, packet.time_base = stream, 1 / look.fps
                packet.pts, packet.dts, packet.duration = part.start + shown, part.start + sent - delay, 1
                sent += 1
                yield packet


def prepared(container: Any, look: Look) -> Any:
    """The stream that is encoded into; raises TakeError where this PyAV has no encoder."""
    name = encoder()
    stream = container.add_stream(name, rate=look.fps, options=X264 if name == "libx264" else {})
    stream.width, stream.height, stream.pix_fmt = look.width, look.height, "yuv420p"
    context = stream.codec_context
    context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1  # limited range, BT.709
    context.gop_size = round(look.fps * 2)
    if name != "libx264":
        context.bit_rate = round(look.width * look.height * look.fps / 5)
    return stream


def encoded(
    parts: Sequence[Part], look: Look, stream: Any, slates: Slates, damaged: Callable[[Part, str], None]
) -> Iterator[Any]:
    """Every frame of every part; what cannot be read on is a card from there, and told to `damaged`."""
    for part in parts:
        for at, frame in enumerate(_shown(part, look, slates, damaged)):
            frame.pts, frame.time_base = part.start + at, 1 / look.fps
            frame.pict_type = _NONE if at else _KEY  # what it was in its file is not what it must be here
            yield from stream.encode(frame)
    yield from stream.encode(None)


def _shown(part: Part, look: Look, slates: Slates, damaged: Callable[[Part, str], None]) -> Iterator[av.VideoFrame]:
    """Exactly as many frames as the part has, in the reel's shape."""
    source, at = part.source, 0
    if source.footage:
        try:
            for frame in _fitted(source.footage, look, part.frames):
                yield frame
                at += 1
        except FFmpegError:
            damaged(part, f"cannot be read from {float(at / look.fps):.1f} s on")
    if at < part.frames:
        yield from _card(source.clip, source.note or "the rest is damaged", look, slates, part.frames - at)


def _card(clip: Clip, why: str, look: Look, slates: Slates, frames: int) -> Iterator[av.VideoFrame]:
    yield from _fitted(slates.draw(clip, why, frames), look, frames)


def _fitted(footage: Footage, look: Look, count: int) -> Iterator[av.VideoFrame]:
    fit, before, fitting = _Fit(footage, look), None, None
    for frame in _timed(footage, look.fps, count):
        if frame is not before:
            before, fitting = frame, fit(frame)
        if fitting is not None:
            yield fitting


def _timed(footage: Footage, fps: Fraction, count: int) -> Iterator[Any]:
    """The picture to be seen at each frame's time: some come twice, some not at all, the last one stays."""
    with opened(footage.path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        now, at = None, 0
        for seen, frame in enumerate(container.decode(stream)):
            due = frame.pts * frame.time_base - footage.zero if frame.pts is not None else seen / footage.rate
            while now is not None and at < count and due > (at + _EARLY) / fps:
                yield now
                at += 1
            if at == count:
                return
            now = frame
        for _ in range(count - at if now is not None else 0):
            yield now


class _Fit:
    """Frames as they come → frames of the reel's shape: turned, scaled within it, black around, BT.709 in the limited range."""

    def __init__(self, footage: Footage, look: Look) -> None:
        self.footage, self.look = footage, look
        self.kind: tuple[Any, ...] | None = None
        self.graph: Graph | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        kind = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if kind != self.kind:
            self.kind, self.graph = kind, self._graph(frame)
        if self.graph is None:
            return frame
        self.graph.push(frame)
        return self.graph.pull()  # type: ignore[return-value]

    def _graph(self, frame: av.VideoFrame) -> Graph | None:
        """None where a frame is already as it has to be."""
        footage, look = self.footage, self.look
        matrix, is_full = _MATRICES.get(int(frame.colorspace), "bt709"), int(frame.color_range) == _FULL
        is_same = (frame.width, frame.height, frame.format.name) == (look.width, look.height, "yuv420p")
        if is_same and footage.square == 1 and not footage.turned and matrix == "bt709" and not is_full:
            return None
        seen = Fraction(frame.width) * footage.square, Fraction(frame.height)
        across, down = seen[::-1] if footage.turned % 180 else seen
        share = min(look.width / across, look.height / down)
        width, height = min(even(across * share), look.width), min(even(down * share), look.height)
        left, top = (look.width - width) // 4 * 2, (look.height - height) // 4 * 2  # even: colour has half the pixels
        turn = () if not footage.turned else _TURNS.get(footage.turned, _BACK)
        colours = f"in_color_matrix={matrix}:out_color_matrix=bt709:in_range={'full' if is_full else 'limited'}:out_range=limited"
        return _chain(
            frame,
            *turn,
            f"scale={width}:{height}:flags=bicubic:{colours}",
            f"pad={look.width}:{look.height}:{left}:{top}:black",
            "format=yuv420p",
            "setsar=1",
        )


def _chain(frame: av.VideoFrame, *filters: str) -> Graph:
    graph = Graph()
    made = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))]
    made += [graph.add(*filter_.split("=", 1)) for filter_ in (*filters, "buffersink")]
    for one, following in pairwise(made):
        one.link_to(following)
    graph.configure()
    return graph
