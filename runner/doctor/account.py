"""A provider as it would be used → whether its address, its key and its clock are right, by one free request at most."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from runner import answers, wire
from runner.answers import Reply
from runner.catalog import Provider
from runner.client import Client
from runner.doctor.checks import Check, bad, ok, warn
from runner.errors import Refused, Unreachable
from runner.gates import key_of
from runner.providers import is_trusted, trusted_urls
from runner.studio import Settings, Studio
from runner.wire import Request

_NO_TASK = "00000000-0000-0000-0000-000000000000"
_SKEW = 60.0  # seconds; reconcile looks for lost tasks within 120 s of the intent
_SHORTEST = 12  # letters; no key of these services has fewer


async def account(
    provider: Provider, environ: Mapping[str, str], trust: Sequence[str], now: Callable[[], float]
) -> AsyncIterator[Check]:
    """Address, region, trust and key; then, where all are right, the task list or a query of a task that never was.

    `trust` are the user's `VAR=HOST[:PORT]` pairs, `now` the machine's time in seconds. No submit, no upload. The
    studio without a base URL is started for it. The key is in none of the texts.
    """
    pairs = (*trust, *environ.get("CALLSHEET_TRUST_HOSTS", "").split(","))
    secret = environ.get(provider.env or "", "").strip()
    found = [*_address(provider), *_trusted(provider, pairs), *_key(provider, environ)]
    for check in found:
        yield _without(secret, check)
    if any(check.state == "bad" for check in found):
        return
    with _at(provider, pairs) as base_urls:
        async with Client(provider, base_urls, secret or "studio") as client:
            try:
                reply = await client.ask(_request(provider))
            except Unreachable as error:
                yield bad("request", error.fact, error.hint or "look at the address, the network and the proxy")
                return
    yield _without(secret, _judged(provider, reply))
    yield _skew(reply, now())


def _address(provider: Provider) -> Iterator[Check]:
    if provider.base_url is None and not provider.free:
        variable = f"{provider.name.upper().replace('-', '_')}_BASE_URL"
        hint = f"set {variable}, or write base_url: under providers: {provider.name}: in the manifest"
        yield bad("address", f"{provider.name} has no address of its own that is known", hint)
        return
    url = provider.base_url
    if url and urlsplit(url).scheme != "https" and not provider.is_loopback:
        yield bad("address", f"{url} is no https address: the key would travel unencrypted", "write https://")
        return
    yield ok("address", ", else ".join(provider.base_urls) or "this machine; a run starts it")
    if provider.region:
        workspace = provider.spec.get("workspace")
        others = [name for name in provider.spec.get("regions", {}) if name != provider.region]
        said = f"{provider.region}{f', workspace {workspace}' if workspace else ''}"
        yield ok("region", f"{said}; key and region belong together, the others are {', '.join(others)}" if others else said)


def _trusted(provider: Provider, trust: tuple[str, ...]) -> Iterator[Check]:
    if provider.base_url is None or provider.env is None:
        return
    host = urlsplit(provider.base_url).netloc
    if is_trusted(provider, trust):
        yield ok("trust", f"{provider.env} may go to {host}")
    else:
        yield bad(
            "trust", f"{host} is not trusted with {provider.env}", f"--trust-host {provider.env}={host}, if the key may go there"
        )


def _key(provider: Provider, environ: Mapping[str, str]) -> Iterator[Check]:
    if provider.env is None:
        yield ok("key", "none is needed")
        return
    # Judged apart from the address: as if it were to go to this machine.
    here = replace(provider, base_url="http://127.0.0.1")
    try:
        key = key_of(here, environ, (f"{provider.env}=127.0.0.1",)) or ""
    except Refused as error:
        yield bad("key", error.fact, error.hint)
        return
    if len(key) < _SHORTEST or set(key) & set("\"'<>{}$"):
        hint = "copy it anew, without quotes"
        yield warn("key", f"{provider.env} is set, but to nothing that looks like a key", hint)
        return
    yield ok("key", f"{provider.env} is set; locks know it as {provider.name}:{sha256(key.encode()).hexdigest()[:8]}")


@contextmanager
def _at(provider: Provider, trust: tuple[str, ...]) -> Iterator[list[str]]:
    """The provider's addresses; where it has none, that of a studio which lives as long as the question."""
    if provider.base_url is not None:
        yield trusted_urls(provider, trust)
        return
    with tempfile.TemporaryDirectory(prefix="callsheet-") as folder, Studio(Settings(folder=Path(folder))) as studio:
        yield [studio.base_url]


def _request(provider: Provider) -> Request:
    """The cheapest question that needs the key."""
    if "list" in provider.spec:
        return wire.listing(provider, {"page_no": "1", "page_size": "1"})
    return wire.query(provider, _NO_TASK)


def _judged(provider: Provider, reply: Reply) -> Check:
    """What the reply to a harmless question says of address and key."""
    code, message = answers.error_of(provider, reply)
    said = " ".join(part for part in (f"HTTP {reply.status}", code, message) if part)
    listed = "list" in provider.spec
    address = "is the address right, with all that stands before the profile's paths?"
    if not listed and (status := answers.read_query(provider, reply)) is not None and status.kind is not None:
        return ok("request", f"a task that never was is {status.word.lower()}: the key is let in as far as can be told")
    match reply.status:
        case 401 | 403:
            others = [name for name in provider.spec.get("regions", {}) if name != provider.region]
            elsewhere = f", or of another region ({', '.join(others)}) than {provider.region}" if others else ""
            return bad("request", f"the key is not let in: {said}", f"the key is wrong{elsewhere}")
        case 200 if listed and isinstance(answers.pick(reply.data(), provider.spec["list"]["rows"]), list):
            return ok("request", "the task list answers: the key is let in")
        case 400 | 404 if not listed and reply.data() is not None:
            return ok("request", f"reachable, and the key is let in as far as can be told ({said})")
        case 429:
            return warn("request", f"reachable, but asked too often: {said}", "try again in a minute")
        case number if number >= 500:
            return warn("request", f"reachable, but in trouble: {said}", "try again later")
        case number if 300 <= number < 400:
            return warn("request", f"answers with a redirect (HTTP {number}), which no key follows", address)
        case _:
            return warn("request", f"answers, but not in this profile's words: {said}", address)


def _skew(reply: Reply, now: float) -> Check:
    try:
        told = parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return ok("skew", "the reply says no date, so the clocks cannot be compared")
    ahead = now - told.replace(tzinfo=told.tzinfo or UTC).timestamp()
    if abs(ahead) > _SKEW:
        side = "ahead of" if ahead > 0 else "behind"
        return warn("skew", f"this machine's clock is {abs(ahead):.0f} s {side} the provider's", "set the clock of this machine")
    return ok("skew", f"the clocks differ by {abs(ahead):.0f} s")


def _without(secret: str, check: Check) -> Check:
    """A server may repeat the key in its error; nobody else has to see it."""
    if not secret:
        return check
    hint = check.hint.replace(secret, "…") if check.hint else None
    return replace(check, says=check.says.replace(secret, "…"), hint=hint)
