"""A submit's body → why the service refuses it at once, or why the task fails later; None when neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.studio.families import Family

_MOST_SEED = 2**31 - 1
# wan2.7-i2v takes these and no other (its reference page).
_TOGETHER = (
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_frame", "last_frame", "driving_audio"},
    {"first_clip"},
    {"first_clip", "last_frame"},
)
_WORDS = {"prompt", "function"}
_WAN3_FRAMES = {"first_frame", "last_frame"}


def refusal(family: Family, parameters: Mapping[str, Any]) -> str | None:
    """Values that no render can be made with; the message lists what there is."""
    checks = (
        _one_of("size", parameters, family.allowed_sizes),
        _one_of("resolution", parameters, family.allowed_resolutions),
        _one_of("ratio", parameters, family.ratios),
        _one_of("duration", parameters, family.durations),
        _seed(parameters, family.least_seed),
        *(_flag(name, parameters) for name in ("prompt_extend", "watermark", "audio")),
    )
    return next((message for message in checks if message), None)


def _one_of(name: str, parameters: Mapping[str, Any], allowed: tuple[Any, ...]) -> str | None:
    value = parameters.get(name)
    if value is None or not allowed or (type(value) is type(allowed[0]) and value in allowed):
        return None
    return f"{name} must be one of {', '.join(map(str, allowed))}"


def _seed(parameters: Mapping[str, Any], least: int) -> str | None:
    seed = parameters.get("seed")
    if seed is None or (type(seed) is int and least <= seed <= _MOST_SEED):
        return None
    return f"seed must be an integer in [{least}, {_MOST_SEED}]"


def _flag(name: str, parameters: Mapping[str, Any]) -> str | None:
    return None if isinstance(parameters.get(name), bool | None) else f"{name} must be a boolean"


def missing_medium(family: Family, given: Mapping[str, Any]) -> str | None:
    """The name of a medium that no words can stand for and that is not there."""
    needs = (need.split("|") for need in _missing(family, given))
    return next((names[0] for names in needs if not _WORDS & set(names)), None)


def _missing(family: Family, given: Mapping[str, Any]) -> list[str]:
    return [need for need in family.needs if not any(given.get(name) for name in need.split("|"))]


def lack(family: Family, given: Mapping[str, Any], *, strings: bool = False) -> str | None:
    """What is noticed only when the task runs: the service accepts the submit, then answers FAILED, InvalidParameter.

    `strings`: the items of `media` may be bare URLs, whose roles nobody can check.
    """
    for need in _missing(family, given):
        return f"input.{need.replace('|', ' or input.')} is required"
    media = given.get("media")
    if not media:
        return None
    if strings and isinstance(media, list) and all(isinstance(item, str) for item in media):
        return None
    if not isinstance(media, list) or not all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in media):
        return "input.media must be a list of objects with type and url"
    return _mixture(family, [item["type"] for item in media])


def _mixture(family: Family, types: list[str]) -> str | None:
    if family.ids == r"wan2\.7-i2v" and (len(set(types)) < len(types) or set(types) not in _TOGETHER):
        return f"input.media takes {_listed(_TOGETHER)}; each at most once"
    if family.ids.startswith(r"wan3\.0"):
        frames = set(types) & _WAN3_FRAMES
        if frames and set(types) - _WAN3_FRAMES:
            return "input.media: first_frame and last_frame exclude references, file and link"
        if frames == {"last_frame"}:
            return "input.media: last_frame needs a first_frame"
        if {"file", "link"} <= set(types):
            return "input.media: file and link exclude each other"
    return None


def _listed(combinations: Iterable[set[str]]) -> str:
    return " | ".join(" + ".join(sorted(names)) for names in combinations)
