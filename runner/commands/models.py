"""`callsheet models`: the models, and what each accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from runner import catalog
from runner.catalog import Model
from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
from runner.outputs.catalogue import WIDTH, length, models, tiers
from runner.outputs.model_view import model_lines
from runner.outputs.text import table


@click.command("models")
@click.argument("name", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """List the video models, or show what one accepts, who offers it, and at what price.

    \b
      callsheet models
      callsheet models wan2.7-i2v
    """
    known = catalog.load()
    if name and name not in known.models:
        raise UsageError(f'there is no model "{name}"', hint=suggestion(name, known.models))
    if as_json:
        options.say_json(known.models[name].schema if name else {"models": [_brief(model) for model in models(known)]})
    else:
        for line in model_lines(known.models[name], known.providers.values()) if name else _list(models(known)):
            click.echo(line)
    return 0


def _brief(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "names": list(model.names),
        "makes": model.about["makes"],
        "media": list(model.roles),
        "parameters": list(model.parameters),
    }


def _list(known: Sequence[Model]) -> Iterable[str]:
    rows = [[one.id, " ".join(tiers(one)) or "-", _seconds(one)] for one in known]
    head = ("model", "sizes", "seconds")
    used = sum(max(len(row[column]) for row in [*rows, head]) + 2 for column in range(len(head)))
    return table(
        [[*row, _fitting(list(one.roles), WIDTH - used)] for row, one in zip(rows, known, strict=True)], (*head, "media")
    )


def _seconds(model: Model) -> str:
    """The length without its conditions: those stand in the model's own view."""
    said = length(model).split(" or ")[0]
    return said.split(", at most")[0].replace("as the ", "as ")


def _fitting(names: Sequence[str], room: int) -> str:
    """As many names as the line has room for, and how many more there are."""
    for count in range(len(names), 0, -1):
        left = f", +{len(names) - count}" if count < len(names) else ""
        if len(text := ", ".join(names[:count]) + left) <= room:
            return text
    return f"{len(names)} roles" if names else "-"
