"""A manifest's file → Manifest, or every problem in it at the place of the value at fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner import catalog as catalogue
from runner import judge, layers, links, preview, providers, rows, salvage, source
from runner.assets import Shelf
from runner.catalog import Catalog
from runner.compose import Composer
from runner.errors import CallsheetError, ManifestError, Place, Problem, UsageError
from runner.judge import Fault
from runner.layers import Layer
from runner.lock import Entry
from runner.shots import Manifest, Shot, lock_path, stem
from runner.source import Map, Seq, Source

DEFAULT_OUTPUT = "renders/${manifest}/${shot}.mp4"
MOST_SHOTS = 1_000_000


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

    def tell(self, problem: Problem) -> None:
        """A problem of another file, as it was found there."""
        self.problems.append(problem)

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def _once(problems: Sequence[Problem]) -> Problem:
    others = len({problem.shot for problem in problems}) - 1
    more = f" (and for {others} more shot{'s' * (others > 1)})" if others else ""
    return replace(problems[0], message=problems[0].message + more)


@dataclass(kw_only=True, slots=True)
class Seen:
    """How far the reading of a manifest is, for whoever looks on: the shots that are written, and those that were made of them."""

    shots: int = 0
    made: list[Shot | None] = field(default_factory=list)


@source.collector_off()
def read(
    path: Path,
    *,
    environ: Mapping[str, str],
    profile: str | None = None,
    provider: str | None = None,
    allowed: Sequence[Path] = (),
    seen: Seen | None = None,
) -> Manifest:
    """Read and check a manifest; local media are opened and hashed, no URL is fetched.

    `environ` gives `<NAME>_BASE_URL`; `profile` and `provider` are the command line's; `allowed` are folders
    outside the manifest's that media may come from; `seen` is told how far it is. Raises ManifestError with every
    problem, warnings too.
    """
    is_preview = profile == preview.NAME
    if is_preview and provider not in {None, preview.PROVIDER}:
        raise UsageError(f"a preview is the studio's, it cannot be {provider}'s", hint="leave out --profile or --provider")
    provider = preview.PROVIDER if is_preview else provider
    text = source.read(path)
    notes = Notes()
    _structure(text, notes)
    chosen = _providers(text, notes, environ)
    if is_preview:
        chosen = {**chosen, preview.PROVIDER: preview.studio(chosen[preview.PROVIDER])}
    shelf = Shelf(path.parent, allowed)
    known = Catalog(models={**catalogue.load().models, **_models(text, notes, shelf)}, providers=chosen)
    shots, linked = _shots(text, notes, known, shelf, path=path, profile=profile, provider=provider, seen=seen or Seen())
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
        shots=tuple(preview.once(shots) if is_preview else shots),
        problems=notes.told(),
        budget=dict(data.get("budget") or {}),
        in_flight=None if is_preview else data.get("in_flight"),
        attempts=data.get("attempts", 2),
        linked=linked,
        provider_asked=None if is_preview else provider,
        provider_defaulted=provider is None and not any(layer.get("provider") for layer in _all_layers(data)),
    )


def _structure(text: Source, notes: Notes) -> None:
    """The manifest's own schema; key-shaped strings anywhere."""
    for fault in judge.faults(catalogue.schema("manifest"), text.data):
        notes.add(fault, rows.spot(text, fault), fault.path, rows.owner(text, fault.path))
    if isinstance(text.data, Map):
        rows.tell_secrets(text, notes)


def _models(text: Source, notes: Notes, shelf: Shelf) -> dict[str, catalogue.Model]:
    """Model files of the manifest's own, by every name they have; additions to the catalogue, never redefinitions."""
    said = text.data.get("models") if isinstance(text.data, Map) else None
    known: dict[str, catalogue.Model] = {}
    for number, name in enumerate(said if isinstance(said, list) else ()):
        path = ("models", number)
        file = shelf.locate(str(name))
        if isinstance(file, Fault):
            notes.add(file, text.place(path), path)
            continue
        try:
            read = source.read(shelf.folder / str(name))
        except ManifestError as error:
            for problem in error.problems:
                notes.tell(problem)
            continue
        faults = judge.faults(catalogue.schema("model"), read.data)
        for fault in faults:
            notes.add(fault, rows.spot(read, fault), fault.path)
        if faults:
            continue
        model = catalogue.model_of(read.data)
        taken = [one for one in model.names if one in catalogue.load().models or one in known]
        if taken:
            fault = Fault(code="E310", path=(), message=f'there is a model "{taken[0]}" already', hint="give yours another id")
            notes.add(fault, read.place(("x-model", "id")), path)
        known.update(dict.fromkeys(model.names, model) if not taken else {})
    return known


def _providers(text: Source, notes: Notes, environ: Mapping[str, str]) -> Mapping[str, catalogue.Provider]:
    said = text.data.get("providers") if isinstance(text.data, Map) else None
    said = {name: value for name, value in said.items() if isinstance(value, Map)} if isinstance(said, Map) else {}
    if any(problem.path.startswith("/providers") for problem in notes.problems):
        said = {}
    chosen = providers.choose(catalogue.load(), said, environ)
    for fault in chosen.faults:
        notes.add(
            fault,
            rows.spot(text, Fault(code="", path=("providers", *fault.path), message="", of_key=fault.of_key)),
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
    shelf: Shelf,
    *,
    path: Path,
    profile: str | None,
    provider: str | None,
    seen: Seen,
) -> tuple[list[Shot], tuple[str, ...]]:
    """Every shot that is whole, and the ids of those with links, each after those it is linked to."""
    data = text.data
    if not isinstance(data, Map) or not isinstance(data.get("shots", Seq()), list) or _is_layered_wrongly(notes):
        return [], ()
    name = stem(path) + (f".{profile}" if profile else "")
    output = str(data["output"]) if isinstance(data.get("output"), str) else DEFAULT_OUTPUT
    composer = Composer(
        catalog=known,
        notes=notes,
        shelf=shelf,
        built_in={"manifest": name},
        output=preview.output(output, DEFAULT_OUTPUT) if profile == preview.NAME else output,
        output_place=text.place(("output",)),
        provider=provider,
        top_provider=data.get("provider") if isinstance(data.get("provider"), str) else None,
        top_place=text.place(("provider",)),
    )
    chosen = _profile(data, notes, profile)
    made = seen.made
    found = rows.parts(text, notes, shelf)
    seen.shots = sum(len(part.text.data.get("shots") or ()) for part in found)
    untold: list[str] = []
    for part in found:
        torn = salvage.torn(part.text, notes.problems)
        untold += rows.ids(part, (number for number, one in torn.items() if one.shot is None))
        for row in rows.rows(part, chosen, notes, shelf, torn):
            made.append(composer.shot(row, torn.get(int(row.own.path[-1])) if torn else None))
            if len(made) > MOST_SHOTS:
                message = f"more than {MOST_SHOTS:,} shots in all"
                notes.add(Fault(code="E105", path=(), message=message), row.own.data.place("id"))
                return [], ()
    if not composer.tied:
        return [shot for shot in made if shot], ()
    film = lock_path(path.absolute(), None if profile == preview.NAME else profile)  # a preview is of the film's own takes
    tied, order = links.tie(made, composer.tied, composer.broken, untold, lambda: _takes(film))
    return [tied.get(shot.id, shot) for shot in made if shot], order


def _takes(lock: Path) -> Mapping[str, Entry]:
    """What the lock knows; a lock that cannot be read is told of by those who need it."""
    from runner import lockfile  # asked of few manifests

    try:
        return lockfile.load(lockfile.Files(lock=lock)).takes
    except CallsheetError:
        return {}


def _is_layered_wrongly(notes: Notes) -> bool:
    """Whether something under all shots is broken: then nothing can be said of any of them."""
    outer = ("/defaults", "/scenes", "/profiles", "/vars", "/include")
    return any(problem.path.startswith(outer) for problem in notes.problems if problem.severity == "error")


def _profile(data: Map, notes: Notes, profile: str | None) -> Layer | None:
    if not profile:
        return None
    profiles = data.get("profiles")
    known = profiles if isinstance(profiles, Map) else Map()
    if isinstance(known.get(profile), Map):
        return Layer(data=known[profile], path=("profiles", profile))
    if profile == preview.NAME:
        return None
    hint = judge.suggestion(profile, [*known, preview.NAME])
    fault = Fault(code="E204", path=(), message=f'there is no profile "{profile}"', hint=hint)
    notes.add(fault, data.place("profiles"), ("profiles",))
    return None


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
