"""`callsheet schema`: a JSON Schema of the catalogue."""

from __future__ import annotations

import click

from runner import catalog
from runner.commands import options


@click.command("schema")
@click.argument("name")
@options.json_option
def command(name: str, as_json: bool) -> int:  # noqa: ARG001 - it is JSON either way
    """Print a schema: manifest, lock, provider, event, report, or a model by its id.

    \b
      callsheet schema manifest > callsheet.schema.json
      callsheet schema wan2.7-i2v
    """
    models = catalog.load().models
    options.say_json(models[name].schema if name in models else catalog.schema(name))
    return 0
