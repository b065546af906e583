"""`callsheet check`: every problem of one or more manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import options
from runner.errors import ManifestError, Problem
from runner.outputs.data import problem_json
from runner.outputs.text import problem_lines


@click.command("check")
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to say it.")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.json_option
@options.reading
def command(manifests: Sequence[Path], form: str, strict: bool, as_json: bool, **how: Any) -> int:
    """Say everything that is wrong with a manifest, each with its place, before a cent is spent.

    \b
      callsheet check film.callsheet.yaml
      callsheet check *.callsheet.yaml --strict --format json
    """
    env_file = how.pop("env_file")
    problems: list[Problem] = []
    checked = 0
    for path in manifests or [options.find(None)]:
        try:
            manifest = runner.read(path, environ=options.environ(env_file), **how)
            problems += manifest.problems
            checked += len(manifest.shots)
        except ManifestError as error:
            problems += error.problems
    errors = sum(1 for problem in problems if problem.severity == "error")
    warnings = len(problems) - errors
    if as_json or form == "json":
        options.say_json({"problems": [problem_json(problem) for problem in problems], "errors": errors, "warnings": warnings})
    else:
        for line in problem_lines(problems):
            click.echo(line)
        click.echo(_summary(errors, warnings, checked), err=True)
    return 2 if errors or (strict and warnings) else 0


def _summary(errors: int, warnings: int, shots: int) -> str:
    if not errors and not warnings:
        return f"{shots} shots, nothing wrong"
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
