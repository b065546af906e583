"""`callsheet export`: what editors, spreadsheets and data sets read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import options
from runner.errors import UsageError
from runner.journal import disk, sync_folder, write_whole
from runner.outputs.export import numbered
from runner.outputs.export.film import Film, Format, Made, Piece
from runner.outputs.export.formats import FORMATS
from runner.outputs.export.numbered import Delivery, How
from runner.outputs.text import few
from runner.plan import Plan
from runner.shots import Manifest

_STDOUT = "-"
_FILES = "files"


@click.command("export")
@options.manifest_argument
@click.option("--to", "name", type=click.Choice([*FORMATS, _FILES]), required=True, help="What to make; each is told above.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where to: a file, for `files` a folder, - for standard output. Without it otio goes to NAME.otio and files to NAME.files beside the manifest, the rest to standard output.",
)
@click.option("--all", "all_takes", is_flag=True, help="For jsonl: also the takes whose files are not here.")
@click.option("--force", is_flag=True, help="Write over a file that is no earlier export.")
@options.json_option
@options.reading
@options.selecting
def command(manifest: Path | None, name: str, out: Path | None, all_takes: bool, force: bool, as_json: bool, **how: Any) -> int:
    """Export the film: the picked takes in order for editors and players, or every take as data. Sends nothing.

    \b
      otio   a timeline (OpenTimelineIO): relative paths, scenes as markers
      edl    a CMX3600 list, non-drop, from 01:00:00:00; a missing shot is black
      csv    a row a take, for spreadsheets; what looks like a formula gets a '
      jsonl  a line a saved take, for data sets: file_name, prompt, seed, model …
      md     plan and status as a Markdown table, to paste into a review
      files  a folder of 001_s010.mp4, 002_s020.mp4 …, numbered as the storyboard

    An earlier export is written over, any other file only with --force (for `files` never).

    \b
      callsheet export film.callsheet.yaml --to otio
      callsheet export --to jsonl --out metadata.jsonl --only 's0*'
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    read = options.read(manifest, told=not as_json, **how)
    known = runner.known(read)
    film = Film(
        known=known,
        plan=runner.decide(read, known),
        chosen=partial(_fits, chosen, read),
        new=chosen.limit,
        all_takes=all_takes,
    )
    if name == _FILES:
        return _deliver(film, out, as_json=as_json)
    form = FORMATS[name]
    if not (film.pieces if form.of_shots else film.rows):
        raise UsageError("no take is selected", hint=f"the shots are: {few([shot.id for shot in read.shots])}")
    return _export(film, form, out, force=force, as_json=as_json)


def _fits(chosen: options.Selection, manifest: Manifest, take: str, state: str) -> bool:
    return chosen.fits({"take": take, "state": state}, manifest if chosen.scene else None)


def _export(film: Film, form: Format, out: Path | None, *, force: bool, as_json: bool) -> int:
    """Make it, and put it where it goes; what is missing is said, and is no failure."""
    target = _target(film, form, out)
    made = form.make(film, (target or film.manifest.path).absolute().parent)
    if target:
        _write(target, made, form, film, force=force)
    if as_json:
        told = _absent(film) if form.of_shots else {"left_out": list(made.left_out)}
        where = {"path": target.as_posix()} if target else {"path": None, "text": made.data.decode()}
        options.say_json({"format": form.name, **where, "bytes": len(made.data), **told, "remarks": list(made.remarks)})
        return 0
    if target:
        click.echo(target.as_posix())
    else:
        click.echo(made.data, nl=False)
    for line in (*made.remarks, *(_absences(film, form) if form.of_shots else ())):
        click.echo(line, err=True)
    return 0


def _target(film: Film, form: Format, out: Path | None) -> Path | None:
    """The file to write; None for standard output."""
    if out is None:
        return None if form.to_stdout else film.manifest.path.with_name(f"{film.manifest.name}.{form.ending}")
    return None if str(out) == _STDOUT else out


def _write(target: Path, made: Made, form: Format, film: Film, *, force: bool) -> None:
    """Whole, by one rename; over nothing that is not an earlier export."""
    files = runner.files_of(film.manifest)
    if target.is_dir():
        raise UsageError(
            f"{target}: this is a folder", hint=f"--out {shlex.quote(str(target / f'{film.manifest.name}.{form.ending}'))}"
        )
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}", hint="make it first")
    if target.exists():
        owned = [film.manifest.path, files.lock, *_renders(film)]
        if any(path.exists() and target.samefile(path) for path in owned):
            raise UsageError(f"{target}: this is the manifest, its lock or a render", hint="choose another name")
        if not force and target.stat().st_size and not form.is_ours(target.read_bytes()):
            raise UsageError(
                f"{target} is in the way: it is no earlier {form.name} export", hint="choose another name, or add --force"
            )
    beside = target.with_name(f".{target.name}.new")
    with disk(target):
        write_whole(beside, made.data)
        beside.replace(target)
        sync_folder(target.absolute().parent)


def _renders(film: Film) -> Iterable[Path]:
    for entry in film.known.takes.values():
        if entry.render:
            yield film.manifest.folder / str(entry.render["path"])
    for shot in film.manifest.shots:
        yield film.manifest.folder / shot.output


def _absent(film: Film) -> dict[str, list[str]]:
    """The shots that have no saved take, and those whose take is saved elsewhere."""
    found = {"missing": film.missing, "not_here": film.elsewhere}
    return {name: [piece.shot.id for piece in pieces] for name, pieces in found.items()}


def _absences(film: Film, form: Format) -> Iterable[str]:
    """Which shots an editor will miss, and what stands in their place."""
    if film.missing:
        instead = "black" if form.name == "edl" else "a missing clip"
        yield f"no render to show yet, so {instead} of the planned length: {few([piece.shot.id for piece in film.missing])}"
    if film.elsewhere:
        yield f"saved, but the file is not here: {few([piece.shot.id for piece in film.elsewhere])}"


def _deliver(film: Film, out: Path | None, *, as_json: bool) -> int:
    """Deliverables; 75 where a run would bring what is missing, 1 where only a person can or a name is taken."""
    if out is not None and str(out) == _STDOUT:
        raise UsageError("files go to a folder, not to standard output", hint="--out DIR")
    if not film.pieces:
        raise UsageError("no take is selected", hint=f"the shots are: {few([shot.id for shot in film.manifest.shots])}")
    target = out or film.manifest.path.with_name(f"{film.manifest.name}.files")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is in the way: it is no folder", hint="choose another one with --out")
    found = numbered.deliver(film, target)
    if as_json:
        options.say_json({"format": _FILES, "path": target.as_posix(), **_data(found), "strays": list(found.strays)})
    else:
        _say(found, target, {piece.shot.id: _lack(piece) for piece in film.missing})
    return _code(found, film.plan)


def _data(found: Delivery) -> dict[str, Any]:
    """The files that are there; of the other shots the ids, as with every format, and what stands in the way."""
    ways: Mapping[str, How] = {"missing": "missing", "not_here": "not here"}
    return {
        "files": [
            {"number": one.number, "shot": one.shot, "take": one.take, "file": one.file, "how": one.how} for one in found.files
        ],
        **{name: [one.shot for one in found.being(how)] for name, how in ways.items()},
        "in_the_way": [{"shot": one.shot, "take": one.take, "file": one.file} for one in found.being("in the way")],
    }


def _lack(piece: Piece) -> str:
    is_saved = any(entry.state == "saved" for entry in piece.clip.takes.values())
    return "its saved takes are outdated, and none is picked" if is_saved else "no take is saved"


def _say(found: Delivery, target: Path, lacks: Mapping[str, str]) -> None:
    for one in found.files:
        click.echo((target / one.file).as_posix())
    for one in found.being("missing"):
        click.echo(f"{one.file} is missing: {lacks[one.shot]}", err=True)
    for one in found.being("not here"):
        click.echo(f"{one.file} is missing: {one.take} is saved, but its file is not here", err=True)
    for one in found.being("in the way"):
        fact = f"{target / one.file} is in the way: it is no copy of a take that is here"
        click.echo(f"{click.style('callsheet: error:', fg='red', bold=True)} {fact}", err=True)
    if found.strays:
        click.echo(f"left from an earlier export, and no shot's any more: {few(found.strays)}", err=True)


def _code(found: Delivery, plan: Plan) -> int:
    missing = {one.shot for one in found.being("missing", "not here")}
    coming = {step.shot for step in plan.doing("submit", "watch", "fetch")}
    if found.being("in the way") or missing - coming:
        return 1
    return 75 if missing else 0
