"""`callsheet check`: every problem of one or more manifests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runner.commands import options
from runner.errors import ManifestError, Problem, UsageError
from runner.outputs.annotations import github_lines, sarif
from runner.outputs.data import problem_json
from runner.outputs.text import problem_lines
from runner.version import version


@click.command("check")
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path), metavar="[MANIFEST…]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    help="How to say it: text (the default), JSON, GitHub's annotations, SARIF 2.1.0.",
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.json_option
@options.reading
def command(manifests: Sequence[Path], form: str | None, strict: bool, as_json: bool, **how: Any) -> int:
    """Say everything that is wrong with a manifest, each with its place, before a cent is spent.

    \b
      callsheet check film.callsheet.yaml
      callsheet check *.callsheet.yaml --strict --format json
      callsheet check --format sarif > callsheet.sarif
    """
    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and --format {form} exclude each other")
    env_file = how.pop("env_file")
    problems: list[Problem] = []
    checked = 0
    for path in manifests or [options.find(None)]:
        try:
            manifest = options.watched(path, environ=options.environ(env_file), **how)
            problems += manifest.problems
            checked += len(manifest.shots)
        except ManifestError as error:
            problems += error.problems
    errors = sum(1 for problem in problems if problem.severity == "error")
    warnings = len(problems) - errors
    # A step of a workflow may work in a folder below the repository's own, from which both forms count.
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    match "json" if as_json else form:
        case "json":
            options.say_json(
                {"problems": [problem_json(problem) for problem in problems], "errors": errors, "warnings": warnings}
            )
        case "sarif":
            options.say_json(sarif(problems, root, version()))
        case _ as words:
            for line in github_lines(problems, root) if words == "github" else problem_lines(problems):
                click.echo(line)
            click.echo(_summary(errors, warnings, checked), err=True)
    return 2 if errors or (strict and warnings) else 0


def _summary(errors: int, warnings: int, shots: int) -> str:
    if not errors and not warnings:
        return f"{shots} shots, nothing wrong"
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
