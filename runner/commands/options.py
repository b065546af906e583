"""What the verbs' command lines share: finding the manifest, selecting takes, saying JSON."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import runner
from runner.commands import ending
from runner.errors import UsageError
from runner.judge import suggestion
from runner.lock import STATES, shot_of
from runner.outputs.text import few, problem_lines
from runner.secrecy import learn

if TYPE_CHECKING:
    from runner.lock import Lock
    from runner.plan import Plan
    from runner.shots import Manifest

_Command = TypeVar("_Command", bound=Callable[..., Any])

manifest_argument = click.argument("manifest", required=False, type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Say it as JSON on standard output, an error too.")
trust_option = click.option(
    "--trust-host", "trust", multiple=True, metavar="VAR=HOST[:PORT]", help="The key in VAR may go to this host."
)


def reading(command: _Command) -> _Command:
    """The options that say how a manifest is read."""
    options = (
        click.option("--profile", metavar="NAME", help="Lay this profile over every shot; it has a lock and folder of its own."),
        click.option("--provider", metavar="NAME", help="Send every shot to this provider."),
        click.option("--allow-dir", "allowed", multiple=True, metavar="DIR", help="Media may also lie in this folder."),
        click.option(
            "--env-file", type=click.Path(path_type=Path, dir_okay=False), help="Read keys and base URLs from this file."
        ),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


def selecting(command: _Command) -> _Command:
    """The options that choose among shots and takes."""
    options = (
        click.option("--only", multiple=True, metavar="PATTERN", help="Only these shots or takes; * and ? match."),
        click.option("--skip", multiple=True, metavar="PATTERN", help="Not these; * and ? match."),
        click.option("--scene", multiple=True, metavar="NAME", help="Only shots of this scene."),
        click.option(
            "--state",
            multiple=True,
            type=click.Choice(["new", *STATES]),
            metavar="STATE",
            help="Only takes in this state: saved, failed, submitted …; `new` for those not made yet.",
        ),
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N takes that are to be submitted."),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What the command line chose; everything where it says nothing."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    scene: Sequence[str] = ()
    state: Sequence[str] = ()
    limit: int | None = None

    def __bool__(self) -> bool:
        return bool(self.only or self.skip or self.scene or self.state or self.limit)

    def chosen(self, plan: Plan, known: Lock) -> list[str] | None:
        """The takes of the plan that are chosen, None for all. Raises UsageError where nothing is, or a word meets nothing."""
        if not self:
            return None
        if wrong := self.misspelt(plan, known):
            raise wrong
        scenes = {shot.id: shot.scene for shot in plan.manifest.shots}
        takes = []
        submits = 0
        for step in plan.steps:
            entry = known.takes.get(step.take)
            names = (step.take, step.shot)
            fits = (
                (not self.only or _any(names, self.only))
                and not _any(names, self.skip)
                and (not self.scene or scenes.get(step.shot) in self.scene)
                and (not self.state or (entry.state if entry else "new") in self.state)
            )
            submits += fits and step.action == "submit"
            if fits and not (self.limit and step.action == "submit" and submits > self.limit):
                takes.append(step.take)
        if not takes:
            raise UsageError("no take is selected", hint="each of these words fits some, but no take fits them all")
        return takes

    def misspelt(self, plan: Plan, known: Lock, what: str = "take") -> UsageError | None:
        """The first word that nothing answers to, with what was most likely meant, else with what there is.

        Also where others meet something: a slip in `--skip` would pay for what was not to be made.
        """
        shots = plan.manifest.shots
        scenes = list(dict.fromkeys(shot.scene for shot in shots if shot.scene))
        for name in self.scene:
            if name not in scenes:
                hint = suggestion(name, scenes) or (f"the scenes are: {few(scenes)}" if scenes else "no shot has one")
                return UsageError(f'there is no scene "{name}"', hint=hint)
        ids = [shot.id for shot in shots]
        takes = [*(step.take for step in plan.steps), *known.takes]
        names = [*ids, *takes, *map(shot_of, takes)]
        for pattern in (*self.only, *self.skip):
            if not _any(names, [pattern]):
                near = suggestion(pattern, ids) if len(ids) > 1 else None
                hint = near if near and near.startswith("did") else f"the shots are: {few(ids)}"
                return UsageError(f'no {what} is called "{pattern}"', hint=hint)
        return None

    def fits(self, take: Mapping[str, Any], manifest: Manifest | None) -> bool:
        """Whether one take of a report is chosen."""
        shot = take["take"].rpartition("@")[0]
        scenes = {one.id: one.scene for one in manifest.shots} if manifest else {}
        names = (take["take"], shot)
        return (
            (not self.only or _any(names, self.only))
            and not _any(names, self.skip)
            and (not self.scene or scenes.get(shot) in self.scene)
            and (not self.state or take["state"] in self.state)
        )


def _any(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def find(manifest: Path | None) -> Path:
    """The manifest that was named, else the only one in this folder."""
    if manifest is not None:
        return manifest
    found = sorted(path for pattern in ("*.callsheet.yaml", "*.callsheet.yml") for path in Path().glob(pattern))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            "there is no *.callsheet.yaml in this folder", hint="name the manifest, or make one with `callsheet init`"
        )
    raise UsageError("this folder has several manifests", hint=f"name one of: {', '.join(str(path) for path in found)}")


def environ(env_file: Path | None) -> Mapping[str, str]:
    """The environment, and what an env file adds to it (`NAME=value` lines)."""
    import os

    if env_file is None:
        return os.environ
    try:
        lines = env_file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{env_file}: cannot be read") from error
    pairs = (line.removeprefix("export ").partition("=") for line in map(str.strip, lines) if line and not line.startswith("#"))
    said = {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
    for name, value in said.items():
        if name.endswith(("_KEY", "_TOKEN", "_SECRET")):
            learn(value)
    return {**said, **os.environ}


def watched(path: Path, **how: Any) -> Manifest:
    """Read a manifest; where a terminal waits for it longer than a second it sees how far that is."""
    from runner.outputs.reading import shown
    from runner.reading import Seen

    seen = Seen()
    with shown(seen, path.name):
        return runner.read(path, seen=seen, **how)


def read(
    manifest: Path | None,
    *,
    profile: str | None,
    provider: str | None,
    allowed: Sequence[str],
    env_file: Path | None,
    told: bool = True,
) -> Manifest:
    """Read the manifest; its warnings go to standard error."""
    found = watched(find(manifest), profile=profile, provider=provider, allowed=allowed, environ=environ(env_file))
    if told:
        for line in problem_lines(found.problems):
            click.echo(line, err=True)
    ending.said().setdefault("manifest", found)
    return found


def say_json(data: Any) -> None:
    """The one object of a verb, or a schema."""
    text = _json(data, indent=2)
    ending.said()["is_whole"] = True  # before it is: Ctrl-C behind the last letter is no reason to say more
    click.echo(text)


def say_line(data: Mapping[str, Any]) -> None:
    """One JSON line, out at once: an event, or all there is to say."""
    text = _json(data, separators=(",", ":"))
    told = ending.said()
    if "event" in data:
        told["event"] = data
    told["is_whole"] = data.get("event", "report") == "report"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _json(data: Any, **style: Any) -> str:
    """As it is written, or in ASCII where standard output has another encoding or a name is no text."""
    text = json.dumps(data, ensure_ascii=False, **style)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, **style)
    return text
