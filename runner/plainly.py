"""A draft like one before it of which nothing had to be said → the same kind of Shot, without asking everything again; else None.

Most shots of a long manifest differ from each other in their texts, their seed and little else; those of a table do so
by its columns. What the first of a kind has settled (model, provider, what the outer layers come to, where renders go)
is kept; a later one is only expanded, judged by its model and fingerprinted. Whatever is not plain, and whatever could
have a problem, is made the long way, which alone finds the words. `tests/test_plainly.py` holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner import judge, templates
from runner.catalog import Provider
from runner.errors import Place
from runner.shots import Shot, fingerprint
from runner.source import Map
from runner.stack import MOST_TEXT, Columns, Draft, Outer
from runner.templates import TemplateError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
_SAID = {"id", "scene", "model", "provider", "prompt", "negative_prompt", "parameters", "takes"}
_SPREAD = {*_SAID, "each", "matrix", "exclude"}
_FREE = MOST_TEXT // 4  # characters that are never too many bytes
_MARK = "\x00"  # stands for the id in an output, for the shot's prompt in an outer one


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """What a shot without problems has settled for those that follow."""

    like: Shot
    outer: Outer
    given: Mapping[str, Any]
    judges: Callable[[Mapping[str, Any]], bool]
    most: Mapping[str, int]  # characters, by the text's name
    output: str  # with a mark for the id
    prompt: str | None  # the outer one, with a mark for the shot's own; None where it has to be expanded anew


@dataclass(kw_only=True)
class Plainly:
    """The kinds that are known."""

    output: str
    built_in: Mapping[str, Any]
    _kinds: dict[tuple[Any, ...], _Kind] = field(default_factory=dict)
    _asked: set[str] = field(init=False)  # the variables of the output, without those that it has of its own

    def __post_init__(self) -> None:
        self._asked = templates.names(self.output) - {*self.built_in, "shot", "scene", "model", "provider"}

    def learn(self, draft: Draft, shot: Shot, provider: Provider) -> None:
        """Keep what a shot has settled of which nothing had to be said."""
        outer, own, columns = draft
        given = outer.data.get("parameters") or {}
        properties = shot.model.schema["properties"]
        if not self._is_plain(own.data, columns) or not outer.is_plain or not _is_flat(given) or "size" in shot.model.parameters:
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
        if "/" in output.partition(_MARK)[2] or output.replace(_MARK, shot.id) != shot.output:  # a folder for each is looked at
            return
        longest = {
            name: min(rule.get("x-cut-at", MOST_TEXT) // rule.get("x-cjk-counts", 1), _FREE)
            for name, rule in properties.items()
            if name in {"prompt", "negative_prompt"}
        }
        self._kinds[_key(outer, own.data, shot.scene)] = _Kind(
            like=shot, outer=outer, given=given, judges=_judge(shot, provider), most=longest, output=output, prompt=_marked(outer)
        )

    def made(self, draft: Draft) -> Shot | None:
        outer, own, columns = draft.outer, draft.own.data, draft.columns
        if not self._is_plain(own, columns):
            return None
        variables, name, scene, given = outer.variables, own["id"], own.get("scene"), own.get("parameters", {})
        try:
            if columns.values:
                variables = {**variables, **columns.values}
                name, scene = str(templates.expand(name, variables)), scene and str(templates.expand(scene, variables))
            kind = self._kinds.get(_key(outer, own, scene))
            if kind is None or not ID.fullmatch(name) or name.endswith(".") or name.split(".")[0].casefold() in DEVICES:
                return None
            if columns.values:
                given = _of_row(given, columns, variables, kind.like.model.parameters)
            texts = _texts(kind, own, variables)
        except TemplateError:
            return None
        for said, text in texts.items():
            if said not in kind.most or len(text) > kind.most[said]:
                return None
        given = {**kind.given, **given}
        if not _is_flat(given) or not given.keys() <= kind.like.model.parameters.keys():
            return None
        if not kind.judges({**texts, "parameters": given}):
            return None
        return _shot(kind, name, columns.cell(own["id"]) or own.place("id"), own, texts, given)

    def _is_plain(self, own: Map, columns: Columns) -> bool:
        """Whether a shot says only what a plain one can, and takes nothing away that an outer layer said."""
        values = columns.values
        return (
            own.keys() <= (_SPREAD if values else _SAID)
            and None not in own.values()
            and isinstance(own.get("prompt"), str)
            and isinstance(own.get("id"), str)
            and not (values and self._is_mixed(own, values))
        )

    def _is_mixed(self, own: Map, values: Mapping[str, Any]) -> bool:
        """Whether columns decide more than what a shot says, or speak of variables themselves."""
        return (
            not self._asked.isdisjoint(values)
            or "$" in own.get("model", "")
            or "$" in own.get("provider", "")
            or any(isinstance(value, str) and "$" in value for value in values.values())
        )


def _shot(kind: _Kind, name: str, place: Place, own: Map, texts: Mapping[str, str], given: Mapping[str, Any]) -> Shot:
    like = kind.like
    prompt, negative = texts.get("prompt"), texts.get("negative_prompt")
    return Shot(
        id=name,
        place=place,
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
        takes=own.get("takes", kind.outer.data.get("takes", 1)),
        output=kind.output.replace(_MARK, name),
        dropped=(),
        fingerprint=fingerprint(
            model=like.model.id, prompt=prompt, negative_prompt=negative, media=(), parameters=given, unchecked=like.unchecked
        ),
    )


def _key(outer: Outer, own: Map, scene: str | None) -> tuple[Any, ...]:
    return id(outer), scene, own.get("model"), own.get("provider")


def _is_flat(parameters: Mapping[str, Any]) -> bool:
    """Whether all are values that stand for themselves."""
    for value in parameters.values():
        kind = type(value)
        if kind is str:
            if "$" in value or len(value) > _FREE:
                return False
        elif kind is not int and kind is not float and kind is not bool:
            return False
    return True


def _of_row(
    written: Mapping[str, Any], columns: Columns, variables: Mapping[str, Any], rules: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Parameters with the columns in their place."""
    return {
        name: columns.typed(value, templates.expand(value, variables), rules.get(name, {}))
        if isinstance(value, str) and "$" in value
        else value
        for name, value in written.items()
    }


def _marked(outer: Outer) -> str | None:
    """The outer prompt around a mark, or the mark alone; None where it takes a column, or has such a mark of its own."""
    if not outer.wraps or outer.prompt is None:
        return _MARK
    text = outer.prompt.data["prompt"]
    try:
        bare, marked = (str(templates.expand(text, {**outer.variables, "prompt": own})) for own in ("", _MARK))
    except TemplateError:
        return None
    return None if _MARK in bare else marked


def _texts(kind: _Kind, own: Map, variables: Mapping[str, Any]) -> dict[str, str]:
    """Prompt and negative prompt, expanded."""
    outer, prompt = kind.outer, own["prompt"]
    if "$" in prompt:
        prompt = str(templates.expand(prompt, variables))
    if kind.prompt is not None and variables is outer.variables:
        prompt = kind.prompt.replace(_MARK, prompt)
    elif outer.wraps and outer.prompt:
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
