"""`callsheet schema`: a JSON Schema of the catalogue."""

from __future__ import annotations

import click

from runner import catalog
from runner.commands import options
from runner.outputs import editor_schema


@click.command("schema")
@click.argument("name")
@options.json_option
def command(name: str, as_json: bool) -> int:  # noqa: ARG001 - it is JSON either way
    """Print a schema: manifest, lock, provider, event, report, or a model by its id.

    That of the manifest is made for editors: it has every model's names, roles and parameters.

    \b
      callsheet schema manifest > callsheet.schema.json
      callsheet schema wan2.7-i2v
    """
    known = catalog.load()
    if name in known.models:
        options.say_json(known.models[name].schema)
    elif name == "manifest":
        click.echo(editor_schema.text(editor_schema.schema(known)), nl=False)
    else:
        options.say_json(catalog.schema(name))
    return 0
