"""A command line that ends early → its last words: two lines for people, and with --json what a script waits for on standard output.

The one rule of all verbs: with --json every end is exactly one object, or for the verbs that say events lines of which the
last is a `report`. What a verb has not said itself is said here, in the one place that every end passes.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

import click

from runner.errors import CallsheetError, ManifestError, UsageError
from runner.unseen import marked

if TYPE_CHECKING:
    from runner.shots import Manifest

_EVENTS = {"run", "collect", "preview"}


class Said(TypedDict, total=False):
    """What one command line has read and said; kept by the door, for the end."""

    manifest: Manifest  # the first one that was read whole
    event: Mapping[str, Any]  # the last line of those that are events
    is_whole: bool  # nothing more is owed on standard output


def said() -> Said:
    """Of the command line that is being carried out; outside of one nothing is kept."""
    context = click.get_current_context(silent=True)
    found: Said | None = context.find_root().obj if context else None
    return {} if found is None else found


def end(error: BaseException, words: Sequence[str], told: Said) -> int:
    """Say how it ended, to people and where they asked for it to scripts; the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return 2
    found, code = _meant(error)
    complain(found)
    if isinstance(found, _Unheard):  # what Python still holds back for it must not be tried again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    if not told.get("is_whole") and is_json(words):
        from runner.commands import options

        if next((word for word in words if not word.startswith("-")), "") in _EVENTS:
            for line in _lines(found, code, told):
                options.say_line(line)
        else:
            options.say_json(_object(found, code))
    return code


def is_json(words: Sequence[str]) -> bool:
    """Whether these words ask for JSON; asked of the words, since they may be what cannot be understood."""
    asked = [*words[: words.index("--")]] if "--" in words else [*words]
    return "--json" in asked or "--format=json" in asked or ("--format", "json") in pairwise(asked)


def complain(error: CallsheetError) -> None:
    """An error on standard error, in two lines; a manifest's with every problem."""
    if isinstance(error, ManifestError):
        from runner.outputs.text import problem_lines

        for line in problem_lines(error.problems):
            click.echo(line, err=True)
        return
    if isinstance(error, _Stopped):
        click.echo(error.fact, err=True)
        return
    click.echo(f"{click.style('callsheet: error:', fg='red', bold=True)} {marked(error.fact)}", err=True)
    if error.hint:
        click.echo(f"callsheet: hint: {marked(error.hint)}", err=True)


class _Stopped(CallsheetError):
    exit_code = 130


class _Unheard(CallsheetError):
    """Standard output leads to a file that takes no more."""

    exit_code = 75


class _Bug(CallsheetError):
    """One of ours that nobody foresaw."""


def _meant(error: BaseException) -> tuple[CallsheetError, int]:
    """Any error as one of ours, and the exit code it leads to."""
    match error:
        case CallsheetError():
            return error, error.exit_code
        case click.ClickException():
            return _usage(error), 2
        case click.Abort() | KeyboardInterrupt():
            return _Stopped("stopped"), 130
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO, filename=None):
            hint = "free some space or send it elsewhere, then run again; what was sent is written down"
            return _Unheard(f"standard output cannot be written: {error.strerror}", hint=hint), _Unheard.exit_code
    return _bug(error), 70


def _usage(error: click.ClickException) -> UsageError:
    """What click has to say of the words, in the house's: one line, lower case, no full stop, and where to look."""
    context = getattr(error, "ctx", None)
    hint = f"`{context.command_path if context else 'callsheet'} --help` has what there is"
    if isinstance(error, click.NoSuchOption):
        near = " or ".join(sorted(error.possibilities or ()))
        return UsageError(f'there is no option "{error.option_name}"', hint=f"did you mean {near}?" if near else hint)
    fact = " ".join(error.format_message().split()).removesuffix(".")
    fact = re.sub(r"a valid (?:integer|float)(?: range)?$", _number, fact)
    kind = getattr(getattr(error, "param", None), "type", None)
    if isinstance(kind, click.Choice) and (quoted := re.search("'([^']*)' is not one of", fact)):
        from runner.judge import suggestion

        near = suggestion(quoted[1], kind.choices) or ""
        hint = near if near.startswith("did") else hint
    return UsageError(fact[:1].lower() + fact[1:], hint=hint)


def _number(match: re.Match[str]) -> str:
    return "a whole number" if "integer" in match[0] else "a number"


def _bug(error: BaseException) -> CallsheetError:
    """The details, without keys, go to a file that can be attached."""
    import tempfile
    import traceback  # for the one moment that is hoped never to come

    from runner.secrecy import hide, learn
    from runner.version import version

    for name, value in os.environ.items():
        if name.endswith(("_KEY", "_TOKEN", "_SECRET")):
            learn(value)
    details = hide("".join(traceback.format_exception(error)))
    handle, path = tempfile.mkstemp(prefix="callsheet-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"callsheet {version()}, Python {sys.version}\n{details}")
    fact = f"this is a bug in callsheet: {type(error).__name__}: {hide(str(error))}"
    return _Bug(fact, hint=f"nothing that was paid for is lost; please attach {path} to a report")


def _object(error: CallsheetError, code: int) -> Mapping[str, Any]:
    return {"error": {"message": error.fact, "hint": error.hint, "exit_code": code}, "problems": [*_problems(error)]}


def _problems(error: CallsheetError) -> Iterable[dict[str, Any]]:
    from runner.outputs.data import problem_json

    return (problem_json(problem) for problem in getattr(error, "problems", ()))


def _lines(error: CallsheetError, code: int, told: Said) -> Iterable[Mapping[str, Any]]:
    """An `error` for each fact, and the `report` that is owed in any case."""
    from runner.clock import stamp

    last = told.get("event") or {"run": "", "seq": -1}
    facts = [*_problems(error)] or [{"code": type(error).__name__.strip("_"), "message": error.fact, "hint": error.hint}]
    lines = [{"event": "error", **{name: value for name, value in one.items() if value is not None}} for one in facts]
    lines.append({"event": "report", **_report(told), "exit_code": code})
    for number, line in enumerate(lines, last["seq"] + 1):
        yield {"event": line.pop("event"), "at": stamp(time.time()), "run": last["run"], "seq": number, **line}


def _report(told: Said) -> Mapping[str, Any]:
    """What is known of every take, as far as the verb came and the lock can be read."""
    import runner
    from runner.lock import Lock

    known = Lock()
    if manifest := told.get("manifest"):
        try:
            known = runner.known(manifest)
        except CallsheetError:  # a lock that cannot be read may be what was refused
            known = Lock()
    return runner.report(known, None).data
