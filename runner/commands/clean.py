"""`callsheet clean`: delete what neither the storyboard nor a later run needs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import options
from runner.errors import Refused
from runner.fit import mega
from runner.litter import KINDS, Found, Item, Kind
from runner.outputs.costs import costs
from runner.outputs.text import few, table
from runner.shots import Manifest, relative

_WORDS: Mapping[Kind, str] = {
    "outdated": "outdated takes",
    "orphaned": "takes of shots that left the manifest",
    "caches": "caches",
}


@click.command("clean")
@options.manifest_argument
@click.option(
    "--outdated", "kinds", flag_value="outdated", multiple=True, help="Takes made from an earlier wording of their shot."
)
@click.option("--orphaned", "kinds", flag_value="orphaned", multiple=True, help="Takes of shots that left the manifest.")
@click.option("--caches", "kinds", flag_value="caches", multiple=True, help="What lies in .callsheet/ and no run needs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="List only.")
@options.json_option
@options.reading
def command(manifest: Path | None, kinds: tuple[Kind, ...], yes: bool, dry_run: bool, as_json: bool, **how: Any) -> int:
    """List outdated and orphaned takes and caches with their bytes, and delete them after a yes.

    Picked and current takes are never deleted, nor what a shot shows while nothing newer of it is here, nor a file that
    is not the one that was saved. The lock keeps every entry, and when it was cleaned: such a take is back with its file
    (`collect --from`, or the old wording while the provider has it), or rendered anew by `again`. With --json nothing is
    asked: without --yes it only lists.

    \b
      callsheet clean film.callsheet.yaml --dry-run
      callsheet clean --outdated --yes
    """
    asked = frozenset(kinds or KINDS)
    read = options.read(manifest, told=not as_json, **how)
    if dry_run or (as_json and not yes):  # a program cannot be asked: it lists, and says --yes when it means it
        found = runner.cleanable(read, runner.known(read), kinds=asked)
        _show(found, read, as_json=as_json)
        return 0
    with runner.hold(read) as held:
        found = runner.cleanable(read, held.lock, kinds=asked)
        if not found.items:
            _show(found, read, as_json=as_json, gone=Found())
            return 0
        if not as_json:
            _show(found, read, as_json=False)
        _approve(found, yes=yes)
        gone = runner.clean(held, found)
    if as_json:
        _show(found, read, as_json=True, gone=gone)
    else:
        _tell(gone)
    return 1 if gone.kept else 0


def _approve(found: Found, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nothing was deleted: there is no terminal to ask on", hint="add --yes; --dry-run only lists")
    if not click.confirm(f"Delete {_count(found.items)}, {mega(found.bytes)}?", err=True):
        raise Refused("not approved, nothing was deleted")


def _show(found: Found, manifest: Manifest, *, as_json: bool, gone: Found | None = None) -> None:
    """What may go, kind by kind, and what stays; as JSON with what went."""
    if as_json:
        _say_json(found, manifest, gone)
        return
    for kind in KINDS:
        items = [item for item in found.items if item.kind == kind]
        if items:
            size = mega(sum(item.bytes for item in items))
            click.echo(f"{_WORDS[kind]}: {size}" if kind == "caches" else f"{_WORDS[kind]}: {len(items)}, {size}")
        for line in table([_cells(item, manifest.folder) for item in items]):
            click.echo(f"  {line}")
    if found.items:
        click.echo(f"in all {_size(found)}")
    else:
        click.echo("nothing to clean", err=True)
    for one in found.kept:
        click.echo(f"kept: {one.name}: {one.why}", err=True)


def _size(found: Found) -> str:
    if found.freed == found.bytes:
        return mega(found.bytes)
    return f"{mega(found.bytes)}, of which {mega(found.freed)} become free: the rest has other names (hard links)"


def _cells(item: Item, folder: Path) -> list[str]:
    if item.kind == "caches":
        files = f"{len(item.paths)} file{'s' * (len(item.paths) > 1)}"
        return [item.name, mega(item.bytes), files, item.note]
    paid = " + ".join("free" if not one.micros else f"paid {one}" for one in costs(item.entry))
    named = ", ".join(relative(path, folder) for path in item.paths)
    return [item.name, mega(item.bytes), paid or "-", named + (f" ({item.note})" if item.note else "")]


def _say_json(found: Found, manifest: Manifest, gone: Found | None) -> None:
    deleted = {item.name for item in gone.items} if gone else set()
    kept = [*found.kept, *(gone.kept if gone else ())]
    items = [
        {
            "kind": item.kind,
            "name": item.name,
            "paths": [relative(path, manifest.folder) for path in item.paths],
            "bytes": item.bytes,
            "freed": item.freed,
            "note": item.note or None,
            "deleted": item.name in deleted,
        }
        for item in found.items
    ]
    told = [{"name": one.name, "why": one.why} for one in kept]
    options.say_json({"items": items, "kept": told, "bytes": found.bytes, "freed": gone.freed if gone else 0})


def _tell(gone: Found) -> None:
    if gone.items:
        click.echo(f"deleted {_count(gone.items)}: {_size(gone)}", err=True)
    for one in gone.kept:
        click.echo(f"kept: {one.name}: {one.why}", err=True)


def _count(items: Collection[Item]) -> str:
    takes = [item.name for item in items if item.kind != "caches"]
    caches = [item.name for item in items if item.kind == "caches"]
    return " and ".join(_parts(takes, caches))


def _parts(takes: list[str], caches: list[str]) -> Iterable[str]:
    if takes:
        yield f"{len(takes)} take{'s' * (len(takes) > 1)} ({few(takes)})"
    if caches:
        yield few(caches)
