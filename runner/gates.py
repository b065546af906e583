"""Plan + Lock + what the user allows → a refusal before anything is sent, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner import reconcile, secrecy
from runner.budget import Caps, Committed, check, committed
from runner.catalog import Provider
from runner.errors import Refused
from runner.lock import Lock
from runner.lockfile import Files, load
from runner.plan import Plan, Step
from runner.providers import is_trusted


def is_free(provider: Provider) -> bool:
    """The studio and whatever answers on this machine cost nothing."""
    return provider.free or provider.is_loopback


def paid_steps(plan: Plan) -> tuple[Step, ...]:
    """The submits that somebody will be billed for."""
    providers = plan.manifest.catalog.providers
    return tuple(step for step in plan.doing("submit") if not is_free(providers[step.provider]))


def check_lock(plan: Plan, known: Lock) -> None:
    """Refuse a plan that is older than the lock, and a lock whose run was never heard of here."""
    if plan.serial != known.serial:
        raise Refused("the plan is older than the lock", hint="plan again")
    run = known.orphaned_run
    unasked = [step for step in plan.doing("submit") if not _is_asked_for(known, step)]
    if run and unasked:
        raise Refused(
            f"the lock names a run ({run.id} on {run.host}, since {run.since}) whose journal is not here: it may have paid for takes that nobody wrote down",
            hint="finish that run where it was started and commit its lock; or look into it: callsheet reconcile MANIFEST",
        )


def _is_asked_for(known: Lock, step: Step) -> bool:
    entry = known.takes.get(step.take)
    return entry is not None and entry.state == "wanted" and not entry.is_open


def check_strays(plan: Plan, files: Files) -> None:
    """Refuse to pay for what a lock beside has, whose manifest is gone: most likely this manifest under its old name."""
    wanted = {step.fingerprint for step in plan.doing("submit")} - {None}
    if files.lock.exists() or files.journal.exists() or not wanted:
        return
    for lock in sorted(files.lock.parent.glob("*.callsheet.lock")):
        name = lock.name.removesuffix(".callsheet.lock")
        owners = {name, name.rpartition(".")[0]}  # a profile's lock is NAME.PROFILE
        if any(path for owner in owners if owner for path in lock.parent.glob(f"{owner}.callsheet.*") if path.suffix != ".lock"):
            continue
        has = [take for take, entry in load(Files(lock=lock)).takes.items() if entry.fingerprint in wanted]
        if has:
            raise Refused(
                f"{lock.name} belongs to no manifest here and has what this one asks for: {', '.join(has[:5])}",
                hint=f"if the manifest was renamed, rename the lock as well: {files.lock.name}; else move it away",
            )


def check_spending(plan: Plan, known: Lock, run_caps: Caps, environ: Mapping[str, str]) -> None:
    """Refuse what would go above a cap, over everything in the lock (`budget:`) or in this run (`--max-…`)."""
    paid = paid_steps(plan)
    said = environ.get("CALLSHEET_NO_SPEND", "").strip()
    # A safeguard that was meant holds, however yes is spelt there.
    if paid and said.lower() not in {"", "0", "false", "no", "off"}:
        raise Refused(
            f"CALLSHEET_NO_SPEND={said} forbids the {len(paid)} paid submits of this plan",
            hint="callsheet preview renders the film for free; to spend, unset CALLSHEET_NO_SPEND",
        )
    providers = plan.manifest.catalog.providers
    # Caps hold on loopback too, so that they can be rehearsed; only the studio counts for nothing.
    counted = [step for step in plan.doing("submit") if not providers[step.provider].free]
    if not counted:
        return
    cost = [step.cost for step in counted]
    seconds = [step.seconds for step in counted]
    check(Caps.of(plan.manifest.budget), committed(known), cost=cost, seconds=seconds, what="the budget")
    nothing = Committed(spent={}, under_way={}, in_doubt={}, seconds=0, takes=0)
    check(run_caps, nothing, cost=cost, seconds=seconds, what="this run")


def keys(plan: Plan, known: Lock, environ: Mapping[str, str], trust: Sequence[str]) -> dict[str, str | None]:
    """The key of each provider that this plan will speak to; refuses a missing one, and a host that may not have it."""
    found: dict[str, str | None] = {}
    for name in needed(plan, known):
        provider = plan.manifest.catalog.providers.get(name)
        if provider is None:
            raise Refused(
                f'the lock has takes of provider "{name}", which this manifest does not know', hint="put it back under providers:"
            )
        found[name] = key_of(provider, environ, tuple(trust))
    return found


def needed(plan: Plan, known: Lock) -> list[str]:
    """The providers that this plan will speak to, in the order of their first step."""
    names = [step.provider for step in plan.doing("submit", "watch", "fetch")]
    for step in plan.doing("answer"):
        provider = plan.manifest.catalog.providers.get(step.provider)
        if (
            provider
            and "list" in provider.spec
            and any(one.take == step.take for one in reconcile.in_doubt(known, step.provider))
        ):
            names.append(step.provider)
    return list(dict.fromkeys(names))


def key_of(provider: Provider, environ: Mapping[str, str], trust: tuple[str, ...]) -> str | None:
    """A provider's key, if it needs one; refuses where it is missing, is none, or may not go where it would."""
    if provider.base_url is None and not provider.free:
        variable = f"{provider.name.upper().replace('-', '_')}_BASE_URL"
        raise Refused(
            f"{provider.name} has no address", hint=f"give base_url: under providers: {provider.name}:, or set {variable}"
        )
    if provider.env is None:
        return None
    if not is_trusted(provider, trust):
        plain = str(provider.base_url).startswith("http:") and not provider.is_loopback
        hint = "write https://" if plain else f"--trust-host {provider.env}=HOST, if the key may go there"
        why = " over plain http" if plain else ""
        raise Refused(f"{provider.base_url} is not trusted with {provider.env}{why}", hint=hint)
    key = environ.get(provider.env, "").strip()
    if not key:
        raise Refused(
            f"{provider.name} needs a key and {provider.env} is not set",
            hint=f"export {provider.env}=…, or try it for free with --provider studio",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Refused(f"{provider.env} holds no key: it has spaces or letters that no key has")
    secrecy.learn(key)
    return key
