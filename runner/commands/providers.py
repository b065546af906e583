"""`callsheet providers`: the services, and what each does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from runner import catalog
from runner.catalog import Provider
from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
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
    known = catalog.load().providers
    if name and name not in known:
        raise UsageError(f'there is no provider "{name}"', hint=suggestion(name, known))
    if as_json:
        options.say_json(known[name].spec if name else [provider.spec for provider in known.values()])
        return 0
    for line in _shown(known[name]) if name else _list(known.values()):
        click.echo(line)
    return 0


def _list(providers: Iterable[Provider]) -> Iterable[str]:
    return table(
        [[one.name, one.title, one.env or "no key", one.base_url or "this machine"] for one in providers],
        ("provider", "", "key", "address"),
    )


def _shown(one: Provider) -> Iterable[str]:
    spec = one.spec
    yield f"{click.style(one.name, bold=True)}: {one.title}"
    yield ""
    yield from table([[name, value] for name, value in _facts(one)])
    for note in spec.get("notes", ()):
        yield f"  note: {note}"
    yield ""
    yield f"checked {spec.get('checked', '?')} against: {'; '.join(spec['sources'])}"


def _facts(one: Provider) -> Iterable[tuple[str, str]]:
    spec: Any = one.spec
    limits = spec["limits"]
    yield "address", one.base_url or "this machine, started by run"
    if spec.get("regions"):
        yield "regions", ", ".join(f"{name}{' (default)' if name == one.region else ''}" for name in spec["regions"])
    yield "key", f"{one.env}, sent to {', '.join(one.hosts)} only" if one.env else "none"
    yield "models", ", ".join(one.models)
    yield "asks", f"after {one.pace('first'):g} s, then every {one.pace('every'):g} s"
    yield (
        "limits",
        f"{limits['in_flight']} under way, {limits['submits_per_second']} submits and {limits['queries_per_second']} queries a second",
    )
    yield "a render lives", str(spec["result"].get("lives", "unknown"))
    yield (
        "local files",
        "uploaded" if spec["media"]["upload"] == "native" else "inline" if spec["media"].get("data_uri") else "not taken",
    )
    yield "finds lost tasks", "by its task list" if "list" in spec else "cannot"
    yield "cancels", "waiting tasks" if "cancel" in spec else "cannot"
    if one.free:
        yield "price", "free"
    for price in spec.get("prices", ()):
        said = ", ".join(f"{tier} {amount}" for tier, amount in price["per_second"].items())
        verified = "" if price.get("verified") else ", unverified"
        regions = f" in {', '.join(price['regions'])}" if price.get("regions") else ""
        yield "price", f"{price['currency']} a second{regions}: {said} ({', '.join(price['models'])}; {price['date']}{verified})"
    if not one.free and not spec.get("prices"):
        yield "price", "unknown"
