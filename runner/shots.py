"""Source + Catalog → the manifest's Shots, merged, expanded and fingerprinted, or every problem at its place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from runner.assets import Medium
from runner.catalog import Catalog, Model, Provider
from runner.errors import Place, Problem
from runner.lock import Entry

_QUOTED = json.encoder.encode_basestring
_WORDS = {True: "true", False: "false", None: "null"}
FINGERPRINT = 1  # the rule by which fingerprints are made; older ones are compared by their own


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One shot as it is now written: merged, expanded, checked.

    `parameters` is what the author wrote and the model has; `wired` the same in the model's own terms
    (resolution and ratio turned into size). `output` is relative to the manifest's folder, with `/`.
    `fingerprint` is None while a render that it is linked to is not known.
    """

    id: str
    place: Place
    scene: str | None
    model: Model
    model_name: str
    provider: str
    prompt: str | None
    negative_prompt: str | None
    media: tuple[Medium, ...]
    parameters: Mapping[str, Any]
    wired: Mapping[str, Any]
    unchecked: Mapping[str, Any]
    takes: int
    output: str
    dropped: tuple[str, ...]
    fingerprint: str | None

    @property
    def seed(self) -> int | None:
        """The written seed, if any."""
        return self.parameters.get("seed")

    @property
    def has_seed(self) -> bool:
        return "seed" in self.model.parameters

    @property
    def seconds(self) -> float | None:
        """Seconds of video asked for; None where the model decides."""
        asked = self.wired.get("duration")
        if asked is None:
            asked = self.model.parameters.get("duration", {}).get("default", 0)
        if asked == 0 and "length_from" in self.model.about:
            return self._length_of(self.model.about["length_from"])
        return float(asked) if isinstance(asked, (int, float)) and asked > 0 else None

    def _length_of(self, role: str) -> float | None:
        """Seconds of the medium that the video follows; None for one that is not here."""
        most = float(self.model.about.get("length_most", "inf"))
        found = next((medium.seconds for medium in self.media if medium.role == role), None)
        return None if found is None else min(found, most)

    @property
    def tier(self) -> str | None:
        """The resolution tier that prices go by: `480P`, `720P`, `1080P`."""
        parameters = self.model.parameters
        if "size" in parameters:
            size, tiers = self.wired.get("size", parameters["size"].get("default")), parameters["size"].get("x-tiers", {})
            return next((tier for tier, sizes in tiers.items() if size in sizes or len(tiers) == 1), None)
        tier = self.wired.get("resolution", parameters.get("resolution", {}).get("default"))
        return str(tier) if tier else None

    def request(self) -> dict[str, Any]:
        """What was asked, as the lock keeps it: no paths, no inline data, no signed links."""
        kept: dict[str, Any] = {"parameters": dict(self.parameters)}
        if self.prompt is not None:
            kept["prompt"] = self.prompt
        if self.negative_prompt is not None:
            kept["negative_prompt"] = self.negative_prompt
        if self.media:
            kept["media"] = identities(self.media)
        if self.unchecked:
            kept["unchecked"] = dict(self.unchecked)
        return kept

    @property
    def links(self) -> tuple[Medium, ...]:
        """The media that are other shots' renders."""
        return tuple(medium for medium in self.media if medium.link)

    def with_media(self, media: tuple[Medium, ...]) -> Shot:
        """The same shot, its links better known."""
        return replace(
            self,
            media=media,
            fingerprint=fingerprint(
                model=self.model.id,
                prompt=self.prompt,
                negative_prompt=self.negative_prompt,
                media=media,
                parameters=self.parameters,
                unchecked=self.unchecked,
            ),
        )

    def with_open_links(self) -> Shot:
        """The same shot as it is before any of its links' renders is known."""
        return self.with_media(tuple(replace(one, identity=one.value) if one.link else one for one in self.media))

    def take_path(self, number: int) -> str:
        folder, _, _ = self.output.rpartition("/")
        return f"{folder}/takes/{self.id}@{number}.mp4" if folder else f"takes/{self.id}@{number}.mp4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest without errors; `problems` are its warnings. `linked` are the shots with links, each after those it needs."""

    path: Path
    name: str
    profile: str | None
    title: str | None
    catalog: Catalog
    shots: tuple[Shot, ...]
    problems: tuple[Problem, ...]
    budget: Mapping[str, Any]
    in_flight: int | None
    attempts: int
    provider_defaulted: bool
    provider_asked: str | None = None  # for every shot, by the command line
    linked: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.path.parent

    def provider(self, shot: Shot) -> Provider:
        return self.catalog.providers[shot.provider]


def stem(path: Path) -> str:
    """`lighthouse` of `lighthouse.callsheet.yaml`."""
    name = path.name
    for suffix in (".yaml", ".yml", ".json"):
        name = name.removesuffix(suffix)
    return name.removesuffix(".callsheet")


def lock_path(path: Path, profile: str | None = None) -> Path:
    """Where a manifest's lock lies: beside it."""
    return path.with_name(f"{stem(path)}.{profile}.callsheet.lock" if profile else f"{stem(path)}.callsheet.lock")


def identities(media: tuple[Medium, ...]) -> dict[str, Any]:
    """Media by role as the fingerprint sees them; references are a list, each with what it is, a voice behind its own."""
    kept: dict[str, Any] = {}
    for medium in media:
        role, _, index = medium.role.partition("/")
        if index:
            kind = "voice" if index.endswith("/voice") else medium.kind
            kept.setdefault(role, []).append(f"{kind} {medium.identity}")
        else:
            kept[role] = medium.identity
    return kept


def fingerprint(
    *,
    model: str,
    prompt: str | None,
    negative_prompt: str | None,
    media: tuple[Medium, ...],
    parameters: Mapping[str, Any],
    unchecked: Mapping[str, Any],
) -> str | None:
    """What makes a shot what it is, `1:sha256:…`, over what the author wrote and nothing else; None for an open link."""
    if media and any(medium.is_open for medium in media):
        return None
    written = {
        "media": media and identities(media),
        "model": model,
        "negative_prompt": negative_prompt,
        "parameters": parameters,
        "prompt": prompt,
        "unchecked": unchecked,
    }
    text = _said({key: value for key, value in written.items() if value})
    return f"{FINGERPRINT}:sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def is_current(entry: Entry, shot: Shot) -> bool:
    """Made from the shot as it is now written. A studio render never satisfies another provider.

    A take in doubt, or bound by a person, whose source was not known here has no fingerprint: there the wording decides.
    """
    if entry.provider == "studio" and shot.provider != "studio":
        return False
    if entry.fingerprint is None:
        return bool(shot.links and entry.attempts) and entry.request == shot.with_open_links().request()
    return entry.fingerprint == shot.fingerprint


def shown_take(shot: Shot, takes: Mapping[str, Entry], picked: str | None) -> str | None:
    """The take that `output` shows: the picked one, else the newest current one that is saved.

    A studio render never takes the place of another provider's.
    """
    saved = {key: entry for key, entry in takes.items() if entry.state == "saved" and entry.render}
    return picked if picked in saved else next(reversed(choice(shot, saved)), None)


def choice(shot: Shot, saved: Mapping[str, Entry]) -> list[str]:
    """Those of a shot's saved takes that could be shown where none is picked."""
    current = [key for key, entry in saved.items() if is_current(entry, shot)]
    return [key for key in current if saved[key].provider != "studio"] or current


def _said(value: Any) -> str:
    """As `json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))` says it, in half the time.

    But for one thing: 5.0 and 5 are one number to every provider, so they are one to the fingerprint.
    """
    kind = type(value)
    if kind is str:
        return _QUOTED(value)
    if kind is int:
        return repr(value)
    if kind is bool or value is None:
        return _WORDS[value]
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value)
    if isinstance(value, (dict, Mapping)):
        members = []
        for key in sorted(value):
            item = value[key]
            members.append(f"{_QUOTED(key)}:{_QUOTED(item) if type(item) is str else _said(item)}")
        return f"{{{','.join(members)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join([_said(item) for item in value])}]"
    return json.dumps(value, ensure_ascii=False)


def size_of(model: Model, resolution: str | None, ratio: str | None) -> str | None:
    """`resolution` and `ratio` → the `size` that a model with a size list means by them; None where it has none."""
    field = model.parameters["size"]
    tiers: Mapping[str, list[str]] = field.get("x-tiers", {})
    default = str(field.get("default") or field["enum"][0])
    home = next((tier for tier, sizes in tiers.items() if default in sizes), None)
    sizes = tiers.get(resolution or home or "", [])
    wanted = _shape(ratio.replace(":", "*")) if ratio else _shape(default)
    near = min(sizes, key=lambda size: abs(_shape(size) / wanted - 1), default=None) if wanted else None
    # 1088*832 is what the service calls 4:3, 2 % off
    return near if near and abs(_shape(near) / wanted - 1) < Fraction(5, 100) else None


def _shape(size: str) -> Fraction:
    width, _, height = size.partition("*")
    return Fraction(int(width), int(height)) if width.isdigit() and height.isdigit() and int(height) else Fraction(0)


def relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
