"""A manifest's file → Manifest, or every problem in it at the place of the value at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner import catalog as catalogue
from runner import judge, layers, providers, source
from runner.assets import Shelf
from runner.catalog import Catalog
from runner.compose import Composer
from runner.errors import ManifestError, Place, Problem
from runner.judge import Fault
from runner.layers import Layer
from runner.shots import Manifest, Shot, stem
from runner.source import Map, Source

DEFAULT_OUTPUT = "renders/${manifest}/${shot}.mp4"
MOST_SHOTS = 1_000_000
# In the contract, not read yet: said as such instead of passed over.
NOT_YET = ("include", "models", "matrix", "exclude", "each")
_KEY = re.compile(r"\b(?:sk|st)-[A-Za-z0-9][A-Za-z0-9_-]{15,}")


@dataclass(kw_only=True)
class Notes:
    """Problems as they are found; sorted by place when they are told."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, fault: Fault, place: Place, path: Sequence[str | int] = (), shot: str | None = None) -> None:
        pointer = layers.pointer(path)
        self.problems.append(
            Problem(code=fault.code, message=fault.message, hint=fault.hint, place=place, path=pointer, shot=shot)
        )

    def told(self) -> tuple[Problem, ...]:
        """In file order; what is wrong once, in defaults, for many shots is one problem."""
        alike: dict[tuple[Place, str, str], list[Problem]] = {}
        for problem in self.problems:
            alike.setdefault((problem.place, problem.code, problem.message), []).append(problem)
        once = [_once(problems) for problems in alike.values()]
        return tuple(sorted(once, key=lambda problem: (problem.place, problem.code)))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def _once(problems: Sequence[Problem]) -> Problem:
    others = len({problem.shot for problem in problems}) - 1
    more = f" (and for {others} more shot{'s' * (others > 1)})" if others else ""
    return replace(problems[0], message=problems[0].message + more)


def read(
    path: Path,
    *,
    environ: Mapping[str, str],
    profile: str | None = None,
    provider: str | None = None,
    allowed: Sequence[Path] = (),
) -> Manifest:
    """Read and check a manifest; local media are opened and hashed, no URL is fetched.

    `environ` gives `<NAME>_BASE_URL`; `profile` and `provider` are the command line's; `allowed` are folders
    outside the manifest's that media may come from. Raises ManifestError with every problem, warnings too.
    """
    text = source.read(path)
    notes = Notes()
    _structure(text, notes)
    chosen = _providers(text, notes, environ)
    known = Catalog(models=catalogue.load().models, providers=chosen)
    shots = _shots(text, notes, known, path=path, profile=profile, provider=provider, allowed=allowed)
    _clashes(shots, notes)
    if notes.has_errors:
        raise ManifestError(notes.told())
    data = text.data
    return Manifest(
        path=path,
        name=stem(path) + (f".{profile}" if profile else ""),
        profile=profile,
        title=data.get("title"),
        catalog=known,
        shots=tuple(shots),
        problems=notes.told(),
        budget=dict(data.get("budget") or {}),
        in_flight=data.get("in_flight"),
        attempts=data.get("attempts", 2),
        provider_defaulted=provider is None and not any(layer.get("provider") for layer in _all_layers(data)),
    )


def _structure(text: Source, notes: Notes) -> None:
    """The manifest's own schema; key-shaped strings anywhere; what this version cannot read yet."""
    for fault in judge.faults(catalogue.schema("manifest"), text.data):
        # merge keys are told with their own hint by source.py; the unread features below
        if not (fault.of_key and fault.path[-1] in NOT_YET):
            notes.add(fault, _spot(text, fault), fault.path)
    if isinstance(text.data, Map):
        for path, value in _strings(text.data, ()):
            if found := _KEY.search(value):
                fault = Fault(
                    code="E501",
                    path=path,
                    message=f"looks like a secret key ({found[0][:6]}…)",
                    hint="keys come from the environment only; take it out and renew it",
                )
                notes.add(fault, text.place(path), path)
        for path in _unread(text.data):
            fault = Fault(
                code="E190", path=path, message=f'"{path[-1]}" is part of the format, but this version does not read it yet'
            )
            notes.add(fault, _spot(text, Fault(code="", path=path, message="", of_key=True)), path)


def _spot(text: Source, fault: Fault) -> Place:
    if fault.of_key:
        parent: Any = text.data
        for part in fault.path[:-1]:
            parent = parent[part]
        if isinstance(parent, Map) and fault.path[-1] in parent:
            found: Place = parent.place_of_key(str(fault.path[-1]))
            return found
    return text.place(fault.path)


def _strings(value: Any, path: tuple[str | int, ...]) -> Iterable[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(item, (*path, key))


def _unread(data: Map) -> Iterable[tuple[str | int, ...]]:
    yield from ((key,) for key in NOT_YET if key in data)
    shots = data.get("shots")
    for number, shot in enumerate(shots if isinstance(shots, list) else ()):
        if isinstance(shot, Map):
            yield from (("shots", number, key) for key in NOT_YET if key in shot)
            media = shot.get("media")
            if isinstance(media, Map):
                yield from (
                    ("shots", number, "media", role, "shot")
                    for role, value in media.items()
                    if isinstance(value, Map) and "shot" in value
                )


def _providers(text: Source, notes: Notes, environ: Mapping[str, str]) -> Mapping[str, catalogue.Provider]:
    said = text.data.get("providers") if isinstance(text.data, Map) else None
    said = {name: value for name, value in said.items() if isinstance(value, Map)} if isinstance(said, Map) else {}
    if any(problem.path.startswith("/providers") for problem in notes.problems):
        said = {}
    chosen = providers.choose(catalogue.load(), said, environ)
    for fault in chosen.faults:
        notes.add(
            fault,
            _spot(text, Fault(code="", path=("providers", *fault.path), message="", of_key=fault.of_key)),
            ("providers", *fault.path),
        )
    return chosen.providers


def _all_layers(data: Map) -> Iterable[Mapping[str, Any]]:
    yield data
    for one in (data.get("defaults"), *(data.get("scenes") or {}).values(), *data.get("shots", ())):
        if isinstance(one, dict):
            yield one


def _shots(
    text: Source,
    notes: Notes,
    known: Catalog,
    *,
    path: Path,
    profile: str | None,
    provider: str | None,
    allowed: Sequence[Path],
) -> list[Shot]:
    data = text.data
    rows = data.get("shots") if isinstance(data, Map) else None
    if not isinstance(rows, list):
        return []
    under = _under(data, notes, profile)
    name = stem(path) + (f".{profile}" if profile else "")
    composer = Composer(
        catalog=known,
        notes=notes,
        shelf=Shelf(path.parent, allowed),
        variables=_map(data, "vars"),
        built_in={"manifest": name},
        output=data.get("output") if isinstance(data.get("output"), str) else DEFAULT_OUTPUT,
        output_place=text.place(("output",)),
        provider=provider,
        top_provider=data.get("provider") if isinstance(data.get("provider"), str) else None,
        top_place=text.place(("provider",)),
    )
    broken = {
        problem.path.split("/")[2]
        for problem in notes.problems
        if problem.path.startswith("/shots/") and problem.severity == "error"
    }
    layered = any(
        problem.path.startswith(("/defaults", "/scenes", "/profiles", "/vars"))
        for problem in notes.problems
        if problem.severity == "error"
    )
    _same_ids(rows, notes)
    made = []
    for number, row in enumerate(rows):
        # A shot whose form is broken has been told of; what it would mean is not worth guessing.
        if isinstance(row, Map) and str(number) not in broken and not layered:
            scene = _scene(data, row, number, notes)
            stack = [*under[:1], *scene, *under[1:], Layer(data=row, path=("shots", number))]
            made.append(composer.shot(stack))
    return [shot for shot in made if shot]


def _same_ids(rows: Sequence[Any], notes: Notes) -> None:
    """Ids are unique ignoring case, since files on some systems are."""
    lines: dict[str, int] = {}
    for number, row in enumerate(rows):
        if isinstance(row, Map) and isinstance(row.get("id"), str):
            line = lines.setdefault(row["id"].casefold(), row.place("id").line)
            if line != row.place("id").line:
                fault = Fault(
                    code="E201",
                    path=(),
                    message=f'the id "{row["id"]}" is taken by the shot at line {line}',
                    hint="ids differ in more than case",
                )
                notes.add(fault, row.place("id"), ("shots", number, "id"), row["id"])


def _under(data: Map, notes: Notes, profile: str | None) -> list[Layer]:
    """Defaults first, the profile (if one is chosen) second."""
    found = [Layer(data=_map(data, "defaults"), path=("defaults",))]
    if profile:
        profiles = _map(data, "profiles")
        if profile in profiles and isinstance(profiles[profile], Map):
            found.append(Layer(data=profiles[profile], path=("profiles", profile)))
        else:
            hint = judge.suggestion(profile, profiles) or "the manifest has no profiles"
            notes.add(
                Fault(code="E204", path=(), message=f'there is no profile "{profile}"', hint=hint),
                data.place("profiles"),
                ("profiles",),
            )
    return found


def _scene(data: Map, row: Map, number: int, notes: Notes) -> list[Layer]:
    name = row.get("scene")
    scenes = _map(data, "scenes")
    if name is None or (name in scenes and scenes[name] is None):
        return []
    if name in scenes:
        return [Layer(data=scenes[name], path=("scenes", name))]
    if scenes:
        # Without a `scenes:` block a scene is just a label; with one, a name that is not in it is a slip.
        fault = Fault(code="E205", path=(), message=f'there is no scene "{name}"', hint=judge.suggestion(str(name), scenes))
        notes.add(fault, row.place("scene"), ("shots", number, "scene"), row.get("id"))
    return []


def _map(data: Map, key: str) -> Map:
    found = data.get(key)
    return found if isinstance(found, Map) else Map()


def _clashes(shots: Sequence[Shot], notes: Notes) -> None:
    """No two shots with one output."""
    outputs: dict[str, Shot] = {}
    for shot in shots:
        other = outputs.setdefault(shot.output.casefold(), shot)
        if other.id.casefold() != shot.id.casefold():
            hint = "put ${shot} into output:"
            notes.add(
                Fault(code="E503", path=(), message=f'the output "{shot.output}" is that of shot "{other.id}" too', hint=hint),
                shot.place,
                shot=shot.id,
            )
    if sum(shot.takes for shot in shots) > MOST_SHOTS:
        notes.add(Fault(code="E105", path=(), message=f"more than {MOST_SHOTS:,} takes in all"), shots[0].place)
