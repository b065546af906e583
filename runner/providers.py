"""The catalogue's profiles + what manifest and environment say of them → the providers of this manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from runner import catalog, judge
from runner.catalog import Catalog, Provider, hostname, is_loopback, split
from runner.judge import Fault

# What a manifest may say of a profile; the rest (refusal and retry rules, words, pointers) is the profile's alone.
OVERRIDES = {
    "base_url",
    "region",
    "workspace",
    "auth",
    "limits",
    "poll",
    "media_encoding",
    "models",
    "prices",
    "seconds",
    "faults",
}
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The providers as this manifest uses them, and what was wrong with its words about them."""

    providers: Mapping[str, Provider]
    faults: tuple[Fault, ...]


def choose(known: Catalog, said: Mapping[str, Any], environ: Mapping[str, str]) -> Chosen:
    """Lay a manifest's `providers:` and `<NAME>_BASE_URL` over the built-in profiles."""
    providers = dict(known.providers)
    faults: list[Fault] = []
    for name, said_of in said.items():
        override = {**_from_environment(name, environ), **said_of}
        base = override.get("extends", name)
        if base not in known.providers:
            hint = judge.suggestion(str(base), known.providers)
            faults.append(
                Fault(
                    code="E302", path=(name,), message=f'unknown provider "{base}"', hint=hint, of_key="extends" not in override
                )
            )
            continue
        faults += [_foreign(name, key) for key in override if key not in OVERRIDES | {"extends", "title"}]
        if "studio" in {base, name} and base != name:
            hint = "write what is to be different under providers: studio:"
            faults.append(Fault(code="E106", path=(name, "extends"), message="the studio is the only one of its kind", hint=hint))
            continue
        spec, problems = _laid(known.providers[base].spec, name, override)
        faults += problems
        providers[name] = catalog.provider_of(spec)
    for name in providers.keys() - said.keys():
        if override := _from_environment(name, environ):
            spec, problems = _laid(providers[name].spec, name, override)
            faults += problems
            providers[name] = catalog.provider_of(spec)
    faults += [fault for name in said if name in providers for fault in _address(name, providers[name])]
    return Chosen(providers=providers, faults=tuple(faults))


def _from_environment(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    url = environ.get(f"{name.upper().replace('-', '_')}_BASE_URL")
    return {"base_url": url} if url else {}


def _foreign(name: str, key: str) -> Fault:
    hint = judge.suggestion(key, OVERRIDES) or f"a manifest may say: {', '.join(sorted(OVERRIDES))}"
    return Fault(
        code="E101",
        path=(name, key),
        message=f'"{key}" is the profile\'s own and cannot be said in a manifest',
        hint=hint,
        of_key=True,
    )


def _laid(spec: Mapping[str, Any], name: str, override: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Override a profile; elsewhere than on loopback limits and paces can be narrowed, never widened."""
    result = {**spec, "provider": name}
    faults = []
    if "workspace" in override and not _WORKSPACE.fullmatch(str(override["workspace"])):
        faults.append(Fault(code="E106", path=(name, "workspace"), message=f'"{override["workspace"]}" is not a workspace id'))
    result["base_url"], region_faults = _base_url(spec, name, override)
    faults += region_faults
    if result["base_url"] != spec.get("base_url"):
        result["fallback_urls"] = []
    if "base_url" in override and not is_loopback(str(override["base_url"])):
        result["region"], more = _region_of(spec, name, override)
        faults += more
    elif "region" in override:
        result["region"] = override["region"]
    if result["base_url"] and not (is_loopback(result["base_url"]) or _is_own(spec, result["base_url"])):
        result["prices"] = []  # somebody else's house: its prices are not known
    if "media_encoding" in override:
        result["media"] = {**spec["media"], "encoding": override["media_encoding"], "encoding_by_model": {}}
    if spec.get("free") and result["base_url"] and not is_loopback(result["base_url"]):
        message = "the studio lives on this machine only"
        faults.append(
            Fault(code="E106", path=(name, "base_url"), message=message, hint="write a provider of your own with extends:")
        )
        result["free"] = False
    free = bool(result.get("free")) or is_loopback(str(result["base_url"] or ""))
    for part in ("limits", "poll"):
        for key, value in override.get(part, {}).items():
            own = spec[part].get(key)
            # UNKNOWN may be borne for longer than the profile says, never for less: a paid task is at stake.
            least = {"first": spec["poll"]["floor"], "every": spec["poll"]["floor"], "unknown_for": own}.get(key)
            widens = own is not None and not free and (value > own if part == "limits" else least is not None and value < least)
            if widens:
                limit = own if part == "limits" else least
                faults.append(
                    Fault(code="E105", path=(name, part, key), message=f"{value} goes beyond the profile's own limit, {limit}")
                )
            result[part] = {**result[part], key: value}
    for key in ("workspace", "title"):
        if key in override:
            result[key] = override[key]
    if "auth" in override:
        result["auth"] = {**spec.get("auth", {}), **override["auth"]}
    for key in ("models", "prices"):
        if key in override:
            result[key] = [*result.get(key, []), *override[key]]  # behind the profile's own, whose currency counts
    for key in ("seconds", "faults"):
        if key in override:
            result[key] = override[key]
    return result, faults


def _base_url(spec: Mapping[str, Any], name: str, override: Mapping[str, Any]) -> tuple[str | None, list[Fault]]:
    """Where the manifest wants to go: an address of its own, or the host of a region, with or without a workspace."""
    if "base_url" in override:
        return str(override["base_url"]).rstrip("/"), []
    regions, region = spec.get("regions", {}), override.get("region", spec.get("region"))
    if not {"region", "workspace"} & override.keys():
        return spec.get("base_url"), []
    hosts = regions.get(region)
    if hosts is None:
        hint = judge.suggestion(str(region), regions) if regions else None
        key = "region" if "region" in override else "workspace"
        message = f'{name} has no region "{region}"' if regions else f"{name} has no regions and no workspaces"
        return spec.get("base_url"), [Fault(code="E106", path=(name, key), message=message, hint=hint)]
    if "workspace" in override:
        return hosts["workspace"].replace("{workspace}", str(override["workspace"])), []
    if "shared" not in hosts:
        hint = f"add workspace: under providers: {name}:"
        fault = Fault(code="E106", path=(name, "region"), message=f"region {region} has workspace hosts only", hint=hint)
        return spec.get("base_url"), [fault]
    return hosts["shared"], []


def _region_of(spec: Mapping[str, Any], name: str, override: Mapping[str, Any]) -> tuple[str | None, list[Fault]]:
    """The region that an address lies in; None where it is none of the profile's."""
    host = hostname(str(override["base_url"]))
    found = next(
        (region for region, urls in spec.get("regions", {}).items() if any(_is_like(host, url) for url in urls.values())), None
    )
    said = override.get("region")
    if said and said != found:
        where = f"in region {found}" if found else "in none of its regions"
        return found, [
            Fault(code="E106", path=(name, "region"), message=f"region {said}, but {host} is {where}", hint="keep one of the two")
        ]
    return found, []


def _is_like(host: str, url: str) -> bool:
    """Whether a host is that of a region's URL, `{workspace}` standing for any one label."""
    pattern = re.escape(hostname(url.replace("{workspace}", "WORKSPACE"))).replace("workspace", "[^.]+")
    return re.fullmatch(pattern, host) is not None


def _is_own(spec: Mapping[str, Any], url: str) -> bool:
    return any(_matches(hostname(url), pattern) for pattern in spec.get("hosts", ()))


def _address(name: str, provider: Provider) -> list[Fault]:
    """Plain http is for loopback only; a host that the profile does not know is not trusted with its key."""
    if provider.base_url is None:
        return []
    try:
        parts = urlsplit(provider.base_url)
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        return [Fault(code="E106", path=(name, "base_url"), message=f'"{provider.base_url}" is not an http(s) address')]
    if not plain:
        message = "an address has no user, password, query or fragment"
        return [Fault(code="E106", path=(name, "base_url"), message=message, hint="write https://HOST[:PORT]/PATH")]
    if parts.scheme == "http" and not is_loopback(provider.base_url):
        hint = "write https://"
        return [
            Fault(code="E502", path=(name, "base_url"), message="the key would travel unencrypted over plain http", hint=hint)
        ]
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return [Fault(code="E106", path=(name, "base_url"), message=f'"{provider.base_url}" is not an http(s) address')]
    if not is_trusted(provider, ()):
        hint = f"run with --trust-host {provider.env}={parts.netloc} if the key may go there"
        return [
            Fault(
                code="W502",
                path=(name, "base_url"),
                message=f"{parts.netloc} is not a host of this provider; run refuses to send it a key",
                hint=hint,
            )
        ]
    return []


def is_trusted(provider: Provider, trust: tuple[str, ...]) -> bool:
    """Whether the pair (variable, host) may be: own hosts and loopback for a built-in variable, else what the user said.

    `trust` holds `VAR=HOST[:PORT]` as given on the command line.
    """
    if provider.base_url is None or provider.env is None:
        return provider.free
    own = catalog.load().providers
    built_in = {one.env: one for one in own.values() if one.env}
    host, parts = hostname(provider.base_url), split(provider.base_url)
    if parts.scheme != "https" and not is_loopback(provider.base_url):
        return False  # nobody's word lets a key travel unencrypted
    if provider.env in built_in:
        if is_loopback(provider.base_url):
            return True
        if any(_matches(host, pattern) for pattern in built_in[provider.env].hosts):
            return True
    return any(
        host and said in {f"{provider.env}={host}", f"{provider.env}={host}:{parts.port}"}
        for said in (one.strip() for one in trust)
    )


def trusted_urls(provider: Provider, trust: tuple[str, ...]) -> list[str]:
    """Those of its addresses that the key may go to."""
    return [url for url in provider.base_urls if is_trusted(replace(provider, base_url=url), trust)]


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
