"""Model id → what the service takes for it: path, shapes, durations, what it cannot do without, what its bill says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

SIZES: dict[int, tuple[str, ...]] = {
    480: ("832*480", "480*832", "624*624"),
    720: ("1280*720", "720*1280", "960*960", "1088*832", "832*1088"),
    1080: ("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Models that take the same. Empty tuples are not checked.

    `sizes`: they take `size`, else `resolution`. `needs`: input fields, alternatives split by `|`. `usage`: the
    fields of a bill, `float` turns its seconds into fractions. `extends`: they answer with an `actual_prompt`.
    `follows_picture`: a first frame outranks `ratio`.
    """

    ids: str
    path: str = "video-generation"
    sizes: bool = False
    tiers: tuple[int, ...] = (720, 1080)
    tier: int = 1080
    ratios: tuple[str, ...] = ()
    durations: tuple[int, ...] = ()
    fps: int = 30
    needs: tuple[str, ...] = ("prompt",)
    usage: str = "video_duration video_ratio video_count"
    extends: bool = True
    follows_picture: bool = False
    least_seed: int = 0

    @property
    def sounds(self) -> bool:
        """Whether what it makes has a sound track, where a request does not say otherwise."""
        return self.ids.startswith(_SOUNDING)

    @property
    def allowed_sizes(self) -> tuple[str, ...]:
        return tuple(size for tier in self.tiers for size in SIZES[tier]) if self.sizes else ()

    @property
    def allowed_resolutions(self) -> tuple[str, ...]:
        return () if self.sizes else tuple(f"{tier}P" for tier in self.tiers)


_SOUNDING = (r"wan2\.5", r"wan2\.6", r"wan2\.7", r"wan3", "happyhorse")


def _from(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_FIVE = ("16:9", "9:16", "1:1", "4:3", "3:4")
_WAN3 = ("adaptive", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
_HORSE = (*_FIVE, "4:5", "5:4", "9:21", "21:9")
_IMAGE, _MEDIA = ("img_url",), ("media",)
_STANDARD = "video_duration video_ratio=standard video_count"
_SR = "duration SR video_count"
_BOTH = "duration input_video_duration output_video_duration SR"
_ALL = (480, 720, 1080)

# Model Studio's reference pages, read 2026-11-21. The first row that matches counts.
FAMILIES: tuple[Family, ...] = (
    Family(ids=r"wanx?2\.1-t2v-turbo", sizes=True, tiers=(480, 720), tier=720, durations=(5,)),
    Family(ids=r"wanx?2\.1-t2v-plus", sizes=True, tiers=(720,), tier=720, durations=(5,)),
    Family(ids=r"wan2\.2-t2v-plus", sizes=True, tiers=(480, 1080), durations=(5,)),
    Family(ids=r"wan2\.5-t2v-preview", sizes=True, tiers=_ALL, durations=(5, 10), fps=24),
    Family(
        ids=r"wan2\.6-t2v",
        sizes=True,
        durations=_from(2, 15),
        fps=24,
        extends=False,
        usage=f"float {_BOTH} size video_count",
    ),
    Family(
        ids=r"wan2\.6-t2v-us",
        sizes=True,
        durations=(5, 10, 15),
        fps=24,
        extends=False,
        usage=f"float {_BOTH} size video_count",
    ),
    Family(ids=r"wan2\.7-t2v", ratios=_FIVE, durations=_from(2, 15), usage=f"{_BOTH} ratio video_count"),
    Family(ids=r"wanx?2\.1-i2v-turbo", tiers=(480, 720), tier=720, durations=(3, 4, 5), needs=_IMAGE, usage=_STANDARD),
    Family(ids=r"wanx?2\.1-i2v-plus", tiers=(720,), tier=720, durations=(5,), needs=_IMAGE, usage=_STANDARD),
    Family(ids=r"wan2\.2-i2v-plus", tiers=(480, 1080), durations=(5,), needs=_IMAGE, usage=_SR),
    Family(ids=r"wan2\.2-i2v-flash", tiers=_ALL, tier=720, durations=(5,), needs=_IMAGE, usage=_SR),
    Family(ids=r"wan2\.5-i2v-preview", tiers=_ALL, durations=(5, 10), fps=24, needs=_IMAGE, usage=_SR),
    Family(ids=r"wan2\.6-i2v-us", durations=(5, 10, 15), fps=24, needs=_IMAGE, extends=False, usage=f"{_BOTH} video_count"),
    Family(
        ids=r"wan2\.6-i2v-flash", durations=_from(2, 15), fps=24, needs=_IMAGE, extends=False, usage=f"{_BOTH} video_count audio"
    ),
    Family(ids=r"wan2\.6-i2v", durations=_from(2, 15), fps=24, needs=_IMAGE, extends=False, usage=f"{_BOTH} video_count"),
    Family(ids=r"wan2\.7-i2v", durations=_from(2, 15), needs=_MEDIA, usage=f"{_BOTH} video_count"),
    Family(
        ids=r"wanx?2\.1-kf2v-plus",
        path="image2video",
        tiers=(480, 720),
        tier=720,
        durations=(5,),
        needs=("first_frame_url", "last_frame_url"),
        usage=_STANDARD,
    ),
    Family(
        ids=r"wan2\.2-kf2v-flash",
        path="image2video",
        tiers=_ALL,
        tier=720,
        durations=(5,),
        needs=("first_frame_url", "last_frame_url"),
        usage="video_duration SR video_count",
    ),
    Family(
        ids=r"wan2\.6-r2v(-flash)?",
        sizes=True,
        durations=_from(2, 10),
        fps=24,
        needs=("prompt", "reference_urls|reference_video_urls"),
        extends=False,
        usage=f"{_BOTH} size video_count",
    ),
    Family(
        ids=r"wan2\.7-r2v",
        ratios=_FIVE,
        durations=_from(2, 15),
        needs=("prompt", "media"),
        usage=f"{_BOTH} ratio video_count",
        follows_picture=True,
    ),
    Family(
        ids=r"wan2\.7-videoedit", ratios=_FIVE, durations=(0, *_from(2, 10)), needs=_MEDIA, usage=f"float {_BOTH} video_count"
    ),
    Family(
        ids=r"wan3\.0-video(-prime)?",
        tiers=_ALL,
        ratios=_WAN3,
        durations=(-1, *_from(2, 30)),
        needs=("prompt|media",),
        usage=f"float {_BOTH} fps ratio video_count",
        least_seed=-1,
    ),
    Family(
        ids=r"happyhorse-1\.\d-t2v",
        tiers=_ALL,
        ratios=_HORSE,
        durations=_from(3, 15),
        fps=24,
        extends=False,
        usage=f"{_BOTH} ratio video_count",
    ),
    Family(
        ids=r"happyhorse-1\.\d-i2v",
        tiers=_ALL,
        durations=_from(3, 15),
        fps=24,
        needs=_MEDIA,
        extends=False,
        usage=f"{_BOTH} video_count",
    ),
    Family(
        ids=r"happyhorse-1\.\d-r2v",
        tiers=_ALL,
        ratios=_HORSE,
        durations=_from(3, 15),
        fps=24,
        needs=("prompt", "media"),
        extends=False,
        usage=f"{_BOTH} ratio video_count",
    ),
    Family(ids=r"happyhorse-1\.\d-video-edit", fps=24, needs=("prompt", "media"), extends=False, usage=f"{_BOTH} video_count"),
    Family(ids=r"wanx?2\.1-vace-plus", sizes=True, tiers=(720,), tier=720, durations=(5,), needs=("prompt", "function")),
    Family(
        ids=r"wan2\.2-s2v",
        path="image2video",
        tiers=(480, 720),
        tier=480,
        needs=("image_url", "audio_url"),
        extends=False,
        usage="float video_duration",
    ),
    Family(
        ids=r"wan2\.2-animate-(move|mix)",
        path="image2video",
        tiers=(),
        tier=720,
        needs=("image_url", "video_url"),
        extends=False,
        usage=_STANDARD,
    ),
    Family(
        ids=r"video-style-transform",
        tiers=(),
        tier=720,
        fps=24,
        needs=("video_url",),
        extends=False,
        usage=f"{_BOTH} video_count",
    ),
    # Models newer than this table: nothing of theirs is checked but the path.
    Family(ids=r".*(kf2v|s2v|animate).*", path="image2video", tiers=(), needs=(), usage=f"{_BOTH} video_count"),
    Family(ids=r".*", tiers=(), fps=24, needs=(), usage=f"{_BOTH} video_count"),
)

_KNOWN = re.compile(r"(?:wan|happyhorse)[A-Za-z0-9._-]{0,80}|video-style-transform")  # wanx begins so too


@lru_cache(maxsize=256)
def family_of(model: str) -> Family | None:
    """What the studio plays `model` as; None for an id that is none of the service's video models."""
    if not _KNOWN.fullmatch(model):
        return None
    return next(family for family in FAMILIES if re.fullmatch(rf"(?:{family.ids})(?:-\d{{4}}-\d\d-\d\d)?", model))
