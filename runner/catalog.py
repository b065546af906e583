"""The files under `schemas/` → Models and Providers, the catalogue that everything else asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from runner import source
from runner.errors import UsageError

HERE = Path(__file__).parent
# In the wheel the catalogue lies inside the package, in a checkout beside it.
SCHEMAS = HERE / "schemas" if (HERE / "schemas").is_dir() else HERE.parent / "schemas"

Kind = Literal["queued", "running", "succeeded", "failed", "canceled", "unknown"]
NATIVE_WORDS: Mapping[str, Kind] = {
    "pending": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
    "unknown": "unknown",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One video model: `schema` is the JSON Schema of its shots, `about` its `x-model` part.

    `names` are all that it goes by; `roles` and `parameters` the schema's rules for the members of `media` and `parameters`.
    """

    id: str
    schema: Mapping[str, Any]
    about: Mapping[str, Any]
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    roles: Mapping[str, Mapping[str, Any]] = field(init=False, repr=False, compare=False)
    parameters: Mapping[str, Mapping[str, Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Found once: every shot asks for them several times.
        parts = self.schema["properties"]
        names = (self.id, *self.about.get("aliases", ()), *self.about.get("snapshots", ()))
        object.__setattr__(self, "names", names)
        for name, part in (("roles", "media"), ("parameters", "parameters")):
            object.__setattr__(self, name, parts.get(part, {}).get("properties", {}))

    @property
    def endpoint(self) -> str:
        """Which of the two native submit paths takes it: `video-generation` or `image2video`."""
        return str(self.about["endpoint"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A complete reply, by its status, code (a pattern) and message (a regular expression), and what it means.

    Of a submit it surely means "not accepted": `retry` says that the same request may be taken later, `stop` that none
    of this account will. Of a query, `means: unknown` says that the task is not known, `stop` that asking is useless.
    """

    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry: bool = False
    stop: bool = False
    means: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What a second costs; `per_second` by resolution tier (or what the model goes by), as decimal strings.

    `when` narrows it to shots with these parameters.
    """

    models: tuple[str, ...]
    currency: str
    per_second: Mapping[str, str]
    when: Mapping[str, Any] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    source: str = ""
    date: str = ""
    verified: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """One service, as its profile says; `spec` is the whole profile for what only `wire` and `client` read."""

    name: str
    title: str
    base_url: str | None
    region: str | None
    env: str | None
    hosts: tuple[str, ...]
    free: bool
    models: tuple[str, ...]
    refused: tuple[Rule, ...]
    poll_errors: tuple[Rule, ...]
    words: Mapping[str, Kind]
    prices: tuple[Price, ...]
    spec: Mapping[str, Any]
    # Answers to what every shot asks; a Provider made from this one by `replace` begins with none.
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def limit(self, name: str) -> float:
        return float(self.spec["limits"][name])

    def pace(self, name: str) -> float:
        """Seconds: `first`, `every`, `floor`, `give_up` or `unknown_for`."""
        return float(self.spec["poll"][name])

    @property
    def lives(self) -> float:
        """Seconds for which the provider knows a task, and gives a link to its render."""
        return seconds(self.spec["result"]["lives"])

    @property
    def links_live(self) -> float:
        """Seconds for which one link can be followed; a fresh one may be had as long as the task lives."""
        return seconds(self.spec["result"].get("links_live", self.spec["result"]["lives"]))

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Where it can be reached, the first one first; none for the embedded studio."""
        return (self.base_url, *self.spec.get("fallback_urls", ())) if self.base_url else ()

    def lists(self, name: str) -> bool:
        """Whether its own list has just this spelling or version of a model."""
        if (found := self._known.get(name)) is None:
            found = self._known[name] = any(fnmatchcase(name, pattern) for pattern in self.models)
        return bool(found)

    def offers(self, model: Model) -> bool:
        return any(map(self.lists, model.names))

    def media_encoding(self, model: Model) -> str:
        """An item of `input.media`: `object` is {type, url}, `string` the bare URL."""
        spec = self.spec["media"]
        named = [form for pattern, form in spec.get("encoding_by_model", {}).items() if fnmatchcase(model.id, pattern)]
        return str([*named, spec.get("encoding", "object")][0])

    def price(self, model: Model, parameters: Mapping[str, Any] | None = None) -> Price | None:
        """What a second costs here; of two prices in one currency the dearer counts, tier by tier."""
        said = parameters or {}
        listing, prices = self._listing(model.names), self.prices
        fitting = tuple([number for number in listing if not prices[number].when or _is_when(prices[number], model, said)])
        if fitting not in self._known:
            self._known[fitting] = self._dearest([self.prices[number] for number in fitting])
        found: Price | None = self._known[fitting]
        return found

    def _listing(self, names: tuple[str, ...]) -> list[int]:
        """The numbers of the prices that name a model by one of its names, here."""
        found: list[int] | None = self._known.get(names)
        if found is None:
            found = self._known[names] = [
                number
                for number, price in enumerate(self.prices)
                if (not price.regions or self.region in price.regions)
                and any(fnmatchcase(name, pattern) for pattern in price.models for name in names)
            ]
        return found

    def _dearest(self, fitting: Sequence[Price]) -> Price | None:
        if not fitting:
            return None
        alike = [price for price in fitting if price.currency == fitting[0].currency]
        tiers = {tier for price in alike for tier in price.per_second}
        dearest = {tier: max((one.per_second[tier] for one in alike if tier in one.per_second), key=Decimal) for tier in tiers}
        return replace(fitting[0], per_second=dearest)

    @property
    def is_loopback(self) -> bool:
        return self.base_url is not None and is_loopback(self.base_url)


def _is_when(price: Price, model: Model, parameters: Mapping[str, Any]) -> bool:
    """Whether a price is one for these parameters, or for the model's defaults where they are silent."""
    has = model.parameters
    return all(
        (parameters.get(name, has[name].get("default")) if name in has else None) == value for name, value in price.when.items()
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All models by every name they have, all providers by name."""

    models: Mapping[str, Model]
    providers: Mapping[str, Provider]

    def has_parameter(self, name: str) -> bool:
        """Whether any model has it."""
        return any(name in model.parameters for model in self.models.values())

    def with_providers(self, more: Iterable[Provider]) -> Catalog:
        return replace(self, providers={**self.providers, **{provider.name: provider for provider in more}})


def split(url: str) -> SplitResult:
    """A URL's parts; all empty for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return urlsplit("")
    return parts


def hostname(url: str) -> str:
    """A URL's host in lower case; empty for what is no URL."""
    return (split(url).hostname or "").lower()


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, as written; a name that only begins like an address is not."""
    host = hostname(url)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def seconds(text: str | float) -> float:
    """`90`, `"90s"`, `"10m"`, `"24h"` → seconds."""
    if isinstance(text, (int, float)):
        return float(text)
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    return float(text[:-1]) * unit if unit else float(text)


@cache
def schema(name: str) -> Mapping[str, Any]:
    """A schema by name: `manifest`, `lock`, `provider`, `event`, `report` …, or a model's id."""
    for path in (SCHEMAS / f"{name}.schema.json", SCHEMAS / "models" / f"{name}.json"):
        if path.is_file() and path.parent.resolve() in {SCHEMAS.resolve(), (SCHEMAS / "models").resolve()}:
            found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
            return found
    if (model := load().models.get(name)) is not None:  # an alias, a snapshot
        return model.schema
    raise UsageError(f'there is no schema "{name}"', hint=f"there are: {', '.join(schema_names())}")


def schema_names() -> tuple[str, ...]:
    own = sorted(path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.schema.json"))
    return (*own, *sorted(path.stem for path in (SCHEMAS / "models").glob("*.json")))


def model_of(found: Mapping[str, Any]) -> Model:
    about = found["x-model"]
    return Model(id=about["id"], schema=found, about=about)


def provider_of(spec: Mapping[str, Any]) -> Provider:
    """A profile's mapping → Provider; the mapping must have passed `provider.schema.json`."""
    words = spec["poll"]["words"]
    region = spec.get("region")
    return Provider(
        name=spec["provider"],
        title=spec["title"],
        base_url=spec.get("base_url"),
        region=region,
        env=spec.get("auth", {}).get("env"),
        hosts=tuple(spec.get("hosts", ())),
        free=bool(spec.get("free", False)),
        models=tuple(spec["models"]),
        refused=tuple(Rule(**rule) for rule in spec["submit"]["refused"]),
        poll_errors=tuple(Rule(**rule) for rule in spec["poll"].get("errors", ())),
        words=NATIVE_WORDS if words == "native" else {word.lower(): kind for kind, listed in words.items() for word in listed},
        prices=tuple(_price(price) for price in spec.get("prices", ())),
        spec=spec,
    )


def _price(spec: Mapping[str, Any]) -> Price:
    lists = {name: tuple(spec[name]) for name in ("models", "regions") if name in spec}
    return Price(**{**spec, **lists})


@cache
def load() -> Catalog:
    """The built-in catalogue, read once."""
    models: dict[str, Model] = {}
    for path in sorted((SCHEMAS / "models").glob("*.json")):
        model = model_of(json.loads(path.read_text("utf-8")))
        models.update(dict.fromkeys(model.names, model))
    providers = (provider_of(source.read(path).data) for path in sorted((SCHEMAS / "providers").glob("*.yaml")))
    return Catalog(models=models, providers={provider.name: provider for provider in providers})
