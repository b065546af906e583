"""A provider → what a person wants to know of it: where it is, how it is asked, what its replies mean, what it costs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from runner.catalog import Model, Price, Provider, Rule, seconds
from runner.outputs.catalogue import WIDTH, address, case, fact_lines, local_files, offered, prices_of, sure
from runner.outputs.text import table


def provider_lines(one: Provider, models: Sequence[Model]) -> Iterator[str]:
    """The whole view; `models` are the catalogue's."""
    mine = offered(one, models)
    yield f"{click.style(one.name, bold=True)}: {one.title}"
    yield ""
    yield from fact_lines([*_where(one), *_calls(one), *_media(one), *_pace(one), *_limits(one)])
    yield ""
    yield from fact_lines([*_refusals(one), *_failures(one)])
    yield ""
    yield from fact_lines([("models", f"{len(mine)} of {len(models)}: {', '.join(model.id for model in mine)}")])
    yield ""
    yield from _prices(one, mine)
    unknown = one.spec.get("unknown", ())
    # A profile cannot leave everything open: a run needs some pace and some patience.
    guessed = ["what stands above for these is a careful guess"] if unknown else []
    for title, said in (("unknown", [*unknown, *guessed]), ("notes", one.spec.get("notes", ()))):
        if said:
            yield ""
            yield from fact_lines([(title if number == 0 else "", str(line)) for number, line in enumerate(said)])
    yield ""
    yield from fact_lines([("checked", f"{one.spec.get('checked', 'unknown')}, against: {'; '.join(one.spec['sources'])}")])


def _where(one: Provider) -> Iterator[tuple[str, str]]:
    others = "".join(f", else {url}" for url in one.base_urls[1:])
    yield "address", f"{address(one)}{others}{f' (region {one.region}, unless told otherwise)' if one.region else ''}"
    regions: Mapping[str, Mapping[str, str]] = one.spec.get("regions", {})
    for number, (name, hosts) in enumerate(regions.items()):
        said = [url for key in ("shared", "workspace") if (url := hosts.get(key))]
        only = "" if "shared" in hosts else " (with a workspace only)"
        yield "regions" if number == 0 else "", f"{name}: {' or '.join(said)}{only}"
    if one.env is None:
        yield "key", "none"
        return
    auth = one.spec["auth"]
    scheme = auth.get("scheme", "Bearer")
    form = f"{auth.get('header', 'Authorization')}: {'' if scheme == 'bare' else f'{scheme} '}KEY"
    goes = ", ".join([*one.hosts, "this machine"])
    yield "key", f"{one.env}, as `{form}`, to {goes}; to other hosts only with --trust-host"


def _calls(one: Provider) -> Iterator[tuple[str, str]]:
    spec = one.spec
    yield "submit", f"POST {spec['submit']['path']}{_headers(spec['submit'])}"
    for entry in spec["submit"].get("paths", ()):
        yield "", f"POST {entry['path']} for {', '.join(entry['models'])}"
    for entry in spec["submit"].get("drop", ()):
        yield "", f"without {', '.join(entry['fields'])} for {', '.join(entry['models'])}"
    for field, kind in spec["submit"].get("coerce", {}).items():
        yield "", f"{field} as {'upper case' if kind == 'upper' else kind}"
    yield "query", f"GET {spec['poll']['path']}{_headers(spec['poll'])}"
    yield "words", _words(one)
    result = spec["result"]
    ways = []
    if content := result.get("content"):
        ways.append(f"streamed by GET {content['path']} {'with' if content['key'] else 'without'} the key")
    if result.get("url"):
        ways.append(f"the link at {' or '.join(result['url'])}, followed without the key")
    yield "render", ", else ".join(ways) or "unknown"
    for entry in result.get("urls", ()):
        yield "", f"the link at {' or '.join(entry['url'])} for {', '.join(entry['models'])}"
    if spec.get("headers"):
        yield "every call", _headers(spec).removeprefix(" with ")
    yield "lost tasks", "found again in its task list" if "list" in spec else "cannot be found again: it has no task list"
    yield "cancels", "what still waits" if "cancel" in spec else "nothing"


def _headers(spec: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name}: {value}" for name, value in spec.get("headers", {}).items())
    return f" with {said}" if said else ""


def _words(one: Provider) -> str:
    kinds: dict[str, list[str]] = {}
    for word, kind in one.words.items():
        kinds.setdefault(kind, []).append(word)
    return "; ".join(kind if words == [kind] else f"{kind}: {', '.join(words)}" for kind, words in kinds.items())


def _media(one: Provider) -> Iterator[tuple[str, str]]:
    media = one.spec["media"]
    upload = one.spec.get("upload", {})
    lives = f"; a copy can be used for {_while(upload['lives'])}" if "lives" in upload else ""
    yield "local files", f"{local_files(one)}{lives if media.get('upload', 'none') != 'none' else ''}"
    forms = {"object": "{type, url}", "string": "bare URLs"}
    by_model = "".join(f", {forms[form]} for {pattern}" for pattern, form in media.get("encoding_by_model", {}).items())
    yield "media items", f"{forms[media.get('encoding', 'object')]}{by_model}"


def _pace(one: Provider) -> Iterator[tuple[str, str]]:
    poll = one.spec["poll"]
    told = [f"{what} {_while(poll[name])}" for name, what in _PACE if poll.get(name) is not None]
    yield "asks", ", ".join(told) or "unknown"


_PACE = (("first", "first after"), ("every", "then every"), ("floor", "never below"), ("give_up", "and stops watching after"))


def _limits(one: Provider) -> Iterator[tuple[str, str]]:
    limits = one.spec.get("limits") or {}
    yield "limits", ", ".join(_counted(limits.get(name), *words) for name, *words in _LIMITS)
    result = one.spec["result"]
    task, link = result.get("lives"), result.get("links_live", result.get("lives"))
    yield "lives", f"a task {_while(task)}, a link {_while(link)}"
    if (patience := one.spec["poll"].get("unknown_for")) is not None:
        yield "", f"a paid task that is unknown for {_while(patience)} counts as lost"


_LIMITS = (
    ("in_flight", "task", " at once"),
    ("submits_per_second", "submit", " a second"),
    ("queries_per_second", "query", " a second"),
)


def _counted(number: float | None, word: str, rest: str) -> str:
    several = f"{word.removesuffix('y')}ies" if word.endswith("y") else f"{word}s"
    return f"{'unknown' if number is None else f'{number:g}'} {word if number == 1 else several}{rest}"


def _while(text: str | float | None) -> str:
    """`90` → `90 s`, `24h` → `24 h`."""
    if text is None:
        return "unknown"
    left = seconds(text)
    for unit, size in (("h", 3600), ("min", 60)):
        if left >= size and left % size == 0:
            return f"{left / size:g} {unit}"
    return f"{left:g} s"


def _refusals(one: Provider) -> Iterator[tuple[str, str]]:
    """The profile's rules, gathered by what follows from them; the first that fits a reply counts."""
    title = "refused"
    for wanted, meaning in _MEANINGS:
        told = [_reply(rule) for rule in one.refused if (rule.retry, rule.stop) == wanted]
        if told:
            yield title, f"{meaning}: {'; '.join(told)}"
            title = ""
    yield title, "the first that fits counts; any other reply without a task id is in doubt, and never simply sent again"
    for rule in one.poll_errors:
        result = "means that the task is unknown" if rule.means else "ends the asking" if rule.stop else "is no news"
        yield "queries", f"{_reply(rule)} {result}"


_MEANINGS = (
    ((False, False), "the take has failed"),
    ((True, False), "tried again later"),
    ((False, True), "no more submits to this account"),
    ((True, True), "no more submits to this account for now"),
)


def _reply(rule: Rule) -> str:
    parts = [
        f"HTTP {rule.status}" if rule.status else "any status",
        rule.code or "",
        f"saying /{rule.message}/" if rule.message else "",
    ]
    why = f" ({rule.why})" if rule.why else ""
    return " ".join(part for part in parts if part) + why


def _failures(one: Provider) -> Iterator[tuple[str, str]]:
    retried = one.spec["failure"].get("retry", ())
    said = f"worth another attempt: {', '.join(retried)}" if retried else "none is worth another attempt"
    yield "failed tasks", f"{said}; every other failure is final"


def _prices(one: Provider, mine: Sequence[Model]) -> Iterator[str]:
    if one.free:
        yield from fact_lines([("prices", "free")])
        return
    if not one.prices:
        yield from fact_lines([("prices", "unknown")])
        return
    yield "prices, for a second of video"
    sources = list(dict.fromkeys(price.source for price in one.prices))
    rows = [[*_row(price), f"[{sources.index(price.source) + 1}]"] for price in one.prices]
    for line, price in zip(table(rows), one.prices, strict=True):
        yield f"  {line}"
        yield from _indented(", ".join(model.id for model in mine if price in prices_of(one, model)) or ", ".join(price.models))
    for number, source in enumerate(sources, 1):
        yield from textwrap.wrap(f"[{number}] {source}", WIDTH - 2, initial_indent="  ", subsequent_indent="      ")
    lacking = [model.id for model in mine if not prices_of(one, model)]
    if lacking:
        yield "  unknown"
        yield from _indented(", ".join(lacking))


def _row(price: Price) -> list[str]:
    sums = ", ".join(f"{tier} {amount}" for tier, amount in price.per_second.items())
    return [f"{sums} {price.currency}{case(price)}", ", ".join(price.regions) or "-", price.date, sure(price)]


def _indented(text: str) -> Iterable[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
