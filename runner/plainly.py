"""A shot like one that was made without a word before it → the same kind of Shot, without asking everything again; else None.

Most shots of a long manifest differ from each other in their texts, their seed and little else. What the first of a
kind has settled (model, provider, what the outer layers come to, where renders go) is kept; a later one is only
expanded, judged by its model and fingerprinted. Whatever is not plain, and whatever could have a problem, is made the
long way, which alone finds the words. `tests/test_plainly.py` holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner import judge, templates
from runner.catalog import Provider
from runner.shots import Shot, fingerprint
from runner.source import Map
from runner.stack import MOST_TEXT, Outer
from runner.templates import TemplateError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
_SAID = {"id", "scene", "model", "provider", "prompt", "negative_prompt", "parameters", "takes"}
_MARK = "\x00"  # stands for the id in an output; no text can have it


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """What a shot without problems has settled for those that follow."""

    like: Shot
    outer: Outer
    given: Mapping[str, Any]
    judges: Callable[[Mapping[str, Any]], bool]
    most: Mapping[str, int]  # characters, by the text's name
    head: str
    tail: str


@dataclass(kw_only=True)
class Plainly:
    """The kinds that are known."""

    output: str
    built_in: Mapping[str, Any]
    _kinds: dict[tuple[Any, ...], _Kind] = field(default_factory=dict)

    def learn(self, outer: Outer, own: Map, shot: Shot, provider: Provider) -> None:
        """Keep what a shot has settled of which nothing had to be said."""
        given = outer.data.get("parameters") or {}
        properties = shot.model.schema["properties"]
        if not _is_plain(own) or not outer.is_plain or not _is_flat(given) or "size" in shot.model.parameters:
            return
        if (
            shot.media
            or shot.unchecked
            or shot.dropped
            or outer.data.get("media")
            or not {"prompt", "parameters"} <= properties.keys()
        ):
            return
        words = {**self.built_in, "shot": _MARK, "scene": shot.scene or "", "model": shot.model_name, "provider": shot.provider}
        output = str(templates.expand(self.output, {**outer.variables, **words}))
        head, _, tail = output.partition(_MARK)
        if _MARK in tail or "/" in tail or not tail.endswith(".mp4") or head + shot.id + tail != shot.output:
            return
        longest = {
            name: min(rule.get("x-cut-at", MOST_TEXT) // rule.get("x-cjk-counts", 1), MOST_TEXT // 4)  # of four bytes each
            for name, rule in properties.items()
            if name in {"prompt", "negative_prompt"}
        }
        self._kinds[_key(outer, own)] = _Kind(
            like=shot, outer=outer, given=given, judges=_judge(shot, provider), most=longest, head=head, tail=tail
        )

    def made(self, outer: Outer, own: Map) -> Shot | None:
        kind = self._kinds.get(_key(outer, own)) if _is_plain(own) else None
        name = own.get("id", "")
        if kind is None or not ID.fullmatch(name) or name.endswith(".") or name.split(".")[0].casefold() in DEVICES:
            return None
        try:
            texts = _texts(kind, own)
        except TemplateError:
            return None
        most = kind.most
        for said, text in texts.items():
            if said not in most or not isinstance(text, str) or len(text) > most[said]:
                return None
        like, given = kind.like, {**kind.given, **own.get("parameters", {})}
        if not given.keys() <= like.model.parameters.keys() or not kind.judges({**texts, "parameters": given}):
            return None
        prompt, negative = texts.get("prompt"), texts.get("negative_prompt")
        return Shot(
            id=name,
            place=own.place("id"),
            scene=like.scene,
            model=like.model,
            model_name=like.model_name,
            provider=like.provider,
            prompt=prompt,
            negative_prompt=negative,
            media=(),
            parameters=given,
            wired=given,
            unchecked=like.unchecked,
            takes=own.get("takes", outer.data.get("takes", 1)),
            output=f"{kind.head}{name}{kind.tail}",
            dropped=(),
            fingerprint=fingerprint(
                model=like.model.id, prompt=prompt, negative_prompt=negative, media=(), parameters=given, unchecked=like.unchecked
            ),
        )


def _key(outer: Outer, own: Map) -> tuple[Any, ...]:
    return id(outer), own.get("scene"), own.get("model"), own.get("provider")


def _is_plain(own: Map) -> bool:
    """Whether a shot says only what a plain one can, and takes nothing away that an outer layer said."""
    return (
        own.keys() <= _SAID
        and None not in own.values()
        and isinstance(own.get("prompt"), str)
        and isinstance(own.get("id"), str)
        and _is_flat(own.get("parameters", {}))
    )


def _is_flat(parameters: Mapping[str, Any]) -> bool:
    """Whether all are values that stand for themselves."""
    for value in parameters.values():
        kind = type(value)
        if kind is str:
            if "$" in value:
                return False
        elif kind is not int and kind is not float and kind is not bool:
            return False
    return True


def _texts(kind: _Kind, own: Map) -> dict[str, Any]:
    """Prompt and negative prompt, expanded."""
    outer, prompt = kind.outer, own["prompt"]
    variables = outer.variables
    if "$" in prompt:
        prompt = str(templates.expand(prompt, variables))
    if outer.wraps and outer.prompt:
        prompt = str(templates.expand(outer.prompt.data["prompt"], {**variables, "prompt": prompt}))
    negative = own.get("negative_prompt", outer.data.get("negative_prompt"))
    if negative is None:
        return {"prompt": prompt}
    return {"prompt": prompt, "negative_prompt": str(templates.expand(negative, variables)) if "$" in negative else negative}


def _judge(shot: Shot, provider: Provider) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the model takes it and has nothing to warn of."""
    fits = judge.fitting(shot.model.schema)
    warnings = [judge.fitting(rule["if"]) for rule in shot.model.schema.get("x-warnings", ())]
    region = {"region": provider.region} if provider.region else {}
    media: dict[str, Any] = {"media": {}} if shot.model.roles else {}

    def judges(said: Mapping[str, Any]) -> bool:
        seen = {**said, **media}
        return fits(seen) and not any(warns({**seen, **region}) for warns in warnings)

    return judges
