"""`callsheet providers`: the services, and what each does."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import click

from runner import catalog
from runner.catalog import Provider
from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
from runner.outputs.catalogue import WIDTH, address, models
from runner.outputs.provider_view import provider_lines
from runner.outputs.text import table


@click.command("providers")
@click.argument("name", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """List the providers, or show one: address, key, pace, limits, prices. What is unknown is said as unknown.

    \b
      callsheet providers
      callsheet providers qwencloud
    """
    known = catalog.load()
    if name and name not in known.providers:
        raise UsageError(f'there is no provider "{name}"', hint=suggestion(name, known.providers))
    if as_json:
        every = {"providers": [provider.spec for provider in known.providers.values()]}
        options.say_json(known.providers[name].spec if name else every)
        return 0
    for line in provider_lines(known.providers[name], models(known)) if name else _list(known.providers.values()):
        click.echo(line)
    return 0


def _list(providers: Collection[Provider]) -> Iterable[str]:
    rows = [(one.name, one.env or "none", address(one)) for one in providers]
    room = WIDTH - sum(max(len(row[column]) for row in rows) + 2 for column in range(3))
    titles = [one.title if len(one.title) <= room else f"{one.title[: room - 1]}…" for one in providers]
    return table([[*row, title] for row, title in zip(rows, titles, strict=True)], ("provider", "key", "address", ""))
