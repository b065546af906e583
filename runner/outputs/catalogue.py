"""The catalogue → its facts in words, as lists, views and the README say them.

`python -m runner.outputs.catalogue` writes the README's section on models and services anew.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

from runner import catalog
from runner.catalog import Catalog, Model, Price, Provider
from runner.errors import UsageError
from runner.fit import mega

WIDTH = 100
BEGIN, END = "<!-- catalogue: begin -->", "<!-- catalogue: end -->"
COMMAND = "python -m runner.outputs.catalogue"


def models(known: Catalog) -> list[Model]:
    """Each model once, by family: Wan, which most of them are, then the others; the newest version first."""
    once = {model.id: model for model in known.models.values()}.values()
    return sorted(once, key=lambda model: (_kin(model)[0] != "wan", _kin(model)[0], [-part for part in _kin(model)[1]], model.id))


def family(model: Model) -> str:
    """`wan2.7` of `wan2.7-i2v`, `wan2.1` of `wanx2.1-i2v-plus`, `happyhorse-1.1` of `happyhorse-1.1-t2v`."""
    name, numbers = _kin(model)
    version = ".".join(map(str, numbers))
    return f"{name}{'' if name == 'wan' else '-'}{version}" if numbers else name


def _kin(model: Model) -> tuple[str, list[int]]:
    found = re.match(r"([a-z]+?)x?-?(\d+(?:\.\d+)*)", model.id)
    return (found[1], [int(part) for part in found[2].split(".")]) if found else (model.id, [])


def tiers(model: Model) -> tuple[str, ...]:
    """What prices go by: sizes, or what the model has in their place."""
    parameters = model.parameters
    sizes = parameters.get("size", {}).get("x-tiers")
    rule = parameters.get(str(model.about.get("price_by", "resolution")), {})
    return tuple(str(tier) for tier in sizes or rule.get("enum", ()))


def length(model: Model) -> str:
    """Seconds that a video of it can have."""
    rule = model.parameters.get("duration")
    origin = model.about.get("length_from")
    source = f"as the {origin.replace('driving_audio', 'sound')}" if origin else "unknown"
    if rule is None:
        most = model.about.get("length_most")
        return f"{source}, at most {most}" if most else source
    if "enum" in rule or "const" in rule:
        return ", ".join(str(number) for number in rule.get("enum", [rule.get("const")]))
    if "minimum" not in rule or "maximum" not in rule:
        return "unknown"
    wrong = rule.get("not", {})
    never = {*wrong.get("enum", ()), *([wrong["const"]] if "const" in wrong else ())}
    allowed = [number for number in range(rule["minimum"], rule["maximum"] + 1) if number not in never]
    whole = [number for number in allowed if number > 0]
    # 0 and -1 are no lengths but leave it to the input, or to the model.
    left = (" or as the video" if 0 in allowed else "") + (" or the model's choice" if -1 in allowed else "")
    return f"{whole[0]}-{whole[-1]}{left}" if len(whole) > 1 else f"{whole[0]}{left}"


def local_files(provider: Provider) -> str:
    """What becomes of a media file on this machine."""
    media = provider.spec["media"]
    inline = media.get("data_uri", {})
    ways = []
    if inline.get("images") and inline.get("below") != 0:  # 0: taken where somebody writes one, but never made
        below = f" up to {mega(inline['below'])}" if "below" in inline else ""
        ways.append(f"pictures inline{below}{' (no source says so)' if inline.get('unsure') else ''}")
    if media.get("upload", "none") != "none":
        most = provider.spec.get("upload", {}).get("most")
        ways.append(f"{'the rest ' if ways else ''}uploaded{f' up to {mega(most)}' if most else ''}")
    return ", ".join(ways) or "none: URLs only"


def address(provider: Provider) -> str:
    if provider.base_url:
        return provider.base_url
    return "this machine" if provider.free else "unknown: base_url is yours to give"


def offered(provider: Provider, known: Iterable[Model]) -> list[Model]:
    return [model for model in known if provider.offers(model)]


def prices_of(provider: Provider, model: Model) -> list[Price]:
    """Every price that the profile has for the model, in any region."""
    named = (one for one in provider.prices if any(fnmatchcase(name, pattern) for pattern in one.models for name in model.names))
    return list(named)


def price(one: Price) -> str:
    """`720P 0.10, 1080P 0.15 USD a second in intl (2026-11-21, unverified)`."""
    sums = ", ".join(f"{tier} {amount}" for tier, amount in one.per_second.items())
    regions = f" in {', '.join(one.regions)}" if one.regions else ""
    return f"{sums} {one.currency} a second{regions}{case(one)} ({one.date}, {sure(one)})"


def case(one: Price) -> str:
    """What the shot must say for a price to count."""
    return "".join(f", {name} {str(value).lower()}" for name, value in one.when.items())


def sure(one: Price) -> str:
    return "verified" if one.verified else "unverified"


def fact_lines(rows: Iterable[tuple[str, str]], *, least: int = 10) -> Iterator[str]:
    """Names and what is said of them, in two columns, the second one wrapped."""
    told = list(rows)
    wide = max((len(name) for name, _ in told), default=0)
    wide = max(wide, least) + 2
    for name, text in told:
        lines = textwrap.wrap(text, max(WIDTH - wide, 40), break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{name.ljust(wide)}{lines[0]}".rstrip()
        yield from (f"{' ' * wide}{line}" for line in lines[1:])


def section(known: Catalog) -> str:
    """Models and services as the README shows them, without the markers."""
    every = models(known)
    services = [one for one in known.providers.values() if not one.free]
    head = ("family", "model", "seconds", "sizes", "media", "services")
    alike = groupby(every, key=lambda model: (family(model), *_facts(model, services)))
    rows = [(name, ", ".join(f"`{model.id}`" for model in kin), *facts) for (name, *facts), kin in alike]
    services_head = ("service", "key", "base URL", "local files", "models", "prices")
    services_rows = [_service(one, every) for one in known.providers.values()]
    return "\n".join([*_markdown(head, _unrepeated(rows)), "", *_markdown(services_head, services_rows)])


def _facts(model: Model, services: Sequence[Provider]) -> tuple[str, ...]:
    offers = ", ".join(one.name for one in services if one.offers(model))
    return length(model), ", ".join(tiers(model)) or "unknown", ", ".join(model.roles) or "none", offers or "none"


def _unrepeated(rows: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The family stands at its first row only."""
    before = ""
    for name, *rest in rows:
        yield ("" if name == before else name, *rest)
        before = name


def _service(one: Provider, every: Sequence[Model]) -> tuple[str, ...]:
    url = f"`{one.base_url}`" if one.base_url else address(one)
    key = f"`{one.env}`" if one.env else "none"
    mine = offered(one, every)
    count = "all" if len(mine) == len(every) else str(len(mine))
    return f"`{one.name}` ({one.title})", key, url, local_files(one), count, "free" if one.free else _priced(one, mine)


def _priced(one: Provider, mine: Sequence[Model]) -> str:
    """For how many of its models a price is known, by region where prices differ by it."""
    counts: dict[str, int] = {}
    verified = 0
    for model in mine:
        known = prices_of(one, model)
        for region in {region for price in known for region in price.regions or ("",)}:
            counts[region] = counts.get(region, 0) + 1
        verified += any(price.verified for price in known)
    if not counts:
        return "unknown"
    said = ", ".join(f"{count}{f' in {region}' if region else ''}" for region, count in sorted(counts.items()))
    return f"for {said} of {len(mine)} models; {verified or 'none'} verified"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def renewed(text: str) -> str:
    """The README's text with the section as the catalogue now gives it. Raises UsageError where the markers are not there."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"the markers {BEGIN} and {END} are not there")
    return f"{head}{BEGIN}\n{section(catalog.load())}\n{END}{tail}"


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    try:
        text = renewed(path.read_text("utf-8"))
    except (OSError, UsageError) as error:
        sys.exit(f"{path}: {error}")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
