"""A shot and a price list → what a take is expected to cost; a task's own usage → what it did cost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from runner import money
from runner.catalog import Model, Provider
from runner.lock import Entry
from runner.money import Money
from runner.shots import Shot

FREE = Money(micros=0, currency="USD", basis="free")


def expected(shot: Shot, provider: Provider) -> Money | None:
    """What one take will cost at most by what is known; None where nobody says."""
    if provider.free:
        return FREE
    listed = provider.price(shot.model, shot.wired)
    per_second = listed.per_second.get(_tier(shot.model, shot.wired, shot.tier) or "") if listed else None
    seconds = billed_seconds(shot)
    if listed is None or per_second is None or seconds is None or shot.unchecked:
        return None
    most = (
        ", if the clip is billed too" if shot.model.about["bills"] == "output, perhaps input" and seconds != shot.seconds else ""
    )
    return _cost(per_second, listed.currency, f"{listed.date}{'' if listed.verified else ', unverified'}", seconds, most)


@lru_cache(maxsize=1024)
def _cost(per_second: str, currency: str, source: str, seconds: float, most: str) -> Money:
    basis = f"{per_second} {currency} a second, {source} × {seconds:g} s{most}"  # noqa: RUF001 - the sign that people write
    return Money(micros=money.times(per_second, seconds), currency=currency, basis=basis)


def billed_seconds(shot: Shot) -> float | None:
    """Seconds that are billed: the video's, and where the model bills them those of the videos put in."""
    total = shot.seconds
    if total is None or shot.model.about["bills"] == "output":
        return total
    for medium in shot.media:
        if medium.role.partition("/")[0] in shot.model.about.get("billed_roles", ()) and medium.kind == "video":
            if medium.seconds is None:
                return None
            total += medium.seconds
    return total


def charged(provider: Provider, model: Model | None, entry: Entry, usage: Mapping[str, Any]) -> Money | None:
    """What a finished task cost, by its own usage; the plan's figure where that does not say."""
    reserved = entry.attempt.reserved if entry.attempt else None
    if provider.free:
        return FREE
    asked = entry.request.get("parameters", {})
    listed = provider.price(model, asked) if model else None
    seconds = next((usage[name] for name in ("duration", "video_duration") if name in usage), None)
    tier = _tier(model, asked, f"{usage['SR']}P" if "SR" in usage else None) if model else None
    per_second = listed.per_second.get(tier or "") if listed else None
    if listed is None or per_second is None or not isinstance(seconds, (int, float)):
        return reserved
    return Money(micros=money.times(per_second, seconds), currency=listed.currency, basis="usage")


def _tier(model: Model, parameters: Mapping[str, Any], resolution: str | None) -> str | None:
    """What the price list goes by: the resolution, or the parameter that the model's file names."""
    name = model.about.get("price_by")
    if name is None:
        return resolution
    value = parameters.get(name, model.parameters.get(name, {}).get("default"))
    return None if value is None else str(value)
