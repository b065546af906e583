"""Takes and the task ids that a person names for them → bound, each after its provider was asked; or refused, with the fact.

A take has one task and a task one take, over all locks of the folder. What the provider tells of a task (that it
knows it, its model, its prompt) must fit the take; what it does not tell is the person's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from runner import answers, listing, tariff
from runner.answers import Reply, Status, clean
from runner.binding import binding
from runner.catalog import Provider
from runner.client import jittered
from runner.clock import stamp
from runner.listing import Row
from runner.lock import Entry, Lock
from runner.plan import Plan, Step
from runner.watching import ask
from runner.work import Account, Work, new_attempt

_TRIES = 3  # of a query that has no answer
_PAUSE = 1.0  # seconds between them
Pair = tuple[str, str]  # a take, the task id named for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """A take that has its task now; `word` is the provider's for how far it is, or `already` where it had it before."""

    take: str
    task_id: str
    word: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Declined:
    """A pair that was not bound, and why."""

    take: str
    task_id: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A pair that may be asked for. `key` is the take's key in the lock, `step` what the plan has for it, if anything."""

    take: str
    task_id: str
    key: str
    entry: Entry | None
    step: Step | None
    provider: str

    @property
    def is_in_doubt(self) -> bool:
        return bool(self.entry and self.entry.attempt and self.entry.attempt.is_in_doubt)

    @property
    def model(self) -> str:
        is_anew = self.step and self.step.action == "submit"
        known = self.entry.model if self.entry and not is_anew else None
        return known or (self.step.model if self.step else "")


def claim(plan: Plan, known: Lock, pair: Pair) -> Claim | Adopted | Declined:
    """What can be said of a pair without asking anybody."""
    take, task_id = pair
    step = next((one for one in plan.steps if one.take == take), None)
    key = step.was if step and step.was else take
    entry = known.takes.get(key)

    def declined(reason: str, hint: str | None = None) -> Declined:
        return Declined(take=take, task_id=task_id, reason=reason, hint=hint)

    if entry is None and step is None:
        return declined("there is no such take", "`callsheet status` and `callsheet plan` list them")
    is_absent = entry is not None and entry.state == "saved" and step is not None and step.action == "absent"
    if entry and entry.attempt and entry.state in {"submitted", "rendered", "saved"} and not is_absent:
        if entry.attempt.task_id == task_id:
            return Adopted(take=take, task_id=task_id, word="already")
        if entry.state == "saved":
            return declined("it is saved, so it needs no task")
        return declined(f"it is under way as task {clean(entry.attempt.task_id or '?', 80)}", "a take has one task at a time")
    is_anew = step is not None and (entry is None or step.action == "submit")
    provider = step.provider if step and is_anew else (entry.provider if entry else None) or ""
    if provider not in plan.manifest.catalog.providers:
        return declined(f'its provider "{provider}" is not known to this manifest', "put it back under providers:")
    return Claim(take=take, task_id=task_id, key=key, entry=entry, step=step, provider=provider)


async def adopt(work: Work, claims: Sequence[Claim]) -> list[Adopted | Declined]:
    """Ask for every claim, then bind those that fit, one after the other; what is returned as adopted is on disk."""
    told: dict[int, _Told] = {}

    async def look(number: int, one: Claim) -> None:
        told[number] = await _asked(work, work.accounts[one.provider], one)

    async with anyio.create_task_group() as group:
        for number, one in enumerate(claims):
            group.start_soon(look, number, one)
    with binding(work.ledger.files) as beside:
        return [_bound(work, one, told[number], beside) for number, one in enumerate(claims)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What the provider says of a task: a status, or why there is none; and its list's row, where it has a list."""

    status: Status | None
    why: str = ""
    row: Row | None = None


async def _asked(work: Work, account: Account, one: Claim) -> _Told:
    provider, model = account.client.provider, work.manifest.catalog.models.get(one.model)
    reply: Reply | None = None
    for number in range(_TRIES):
        if number:
            await anyio.sleep(jittered(_PAUSE))
        reply = await ask(account, one.task_id)
        if reply and (status := answers.read_query(provider, reply, model)):
            is_told = status.kind in {"queued", "running", "succeeded"}
            return _Told(status=status, row=await listing.row_of(account, one.task_id) if is_told else None)
        if reply and reply.status in {401, 403}:
            break
    if reply is None:
        return _Told(status=None, why=f"{provider.name} did not answer")
    if reply.status in {401, 403}:
        return _Told(status=None, why=f"{provider.name} does not let the key in (HTTP {reply.status})")
    code, message = answers.error_of(provider, reply)
    return _Told(status=None, why=f"{provider.name} gave no status: HTTP {reply.status} {code} {message}".rstrip())


def _bound(work: Work, one: Claim, told: _Told, beside: Mapping[str, Lock]) -> Adopted | Declined:
    """Bind one claim, or say why not; the locks are looked at as they are now."""
    again = claim(work.plan, work.ledger.lock, (one.take, one.task_id))  # an earlier pair may have been the same take's
    if not isinstance(again, Claim):
        return again
    account = work.accounts[one.provider]
    no = _owner(one, work.ledger.lock, beside) or _misfit(work, account.client.provider, one, told)
    if no is not None or told.status is None:
        reason, hint = no or (told.why, None)
        return Declined(take=one.take, task_id=one.task_id, reason=reason, hint=hint)
    work.ledger.note("adopted", take=one.key, **_record(work, account, one, told.row))
    return Adopted(take=one.take, task_id=one.task_id, word=told.status.word)


def _owner(one: Claim, own: Lock, beside: Mapping[str, Lock]) -> tuple[str, str | None] | None:
    """Whose the task is already, if anybody's."""
    for name, known in {"": own, **beside}.items():
        for take, entry in known.takes.items():
            is_itself = not name and take == one.key
            if not is_itself and any(attempt.task_id == one.task_id for attempt in entry.attempts):
                where = f" of {name}" if name else ""
                return f"that task is {take}'s{where}", "a task belongs to one take"
    return None


def _misfit(work: Work, provider: Provider, one: Claim, told: _Told) -> tuple[str, str | None] | None:
    """What the provider says that does not fit the take."""
    status = told.status
    if status is None:
        return told.why, "nothing is bound; try again"
    match status.kind:
        case "unknown":
            lives = provider.spec["result"]["lives"]
            return (
                f"{provider.name} does not know that task ({status.word})",
                f"check the id, and that the key is of the account that made it; a task is known for {lives}",
            )
        case "failed" | "canceled" if not one.is_in_doubt:
            return f"that task has ended as {status.word}, there is nothing to fetch", "`callsheet again` permits a new attempt"
        case None:
            why = status.stop or f'"{status.word}" is no word that its profile knows'
            return f"{provider.name} does not say how that task stands: {why}", "nothing is bound; try again"
    model = work.manifest.catalog.models.get(one.model)
    names = model.names if model else (one.model,)
    if told.row and told.row.model not in names:
        return (
            f"that task is of model {clean(told.row.model, 60)}, the take is of {one.model}",
            "name the take that it was made for",
        )
    prompt = _prompt(work, one)
    if status.prompt is not None and status.prompt != prompt:
        said, ours = clean(status.prompt, 60), clean(prompt, 60)
        hint = "name the take that it was made for; if no take says that any more, fetch it from the provider's console"
        return f'that task\'s prompt is "{said}", the take\'s is "{ours}"', hint
    return None


def _request(work: Work, one: Claim) -> Mapping[str, Any]:
    """What was asked for, or would be: the entry's own words where it has any."""
    if one.entry and one.entry.request:
        return one.entry.request
    shot = work.shots.get(one.step.shot) if one.step else None
    return shot.request() if shot else {}


def _prompt(work: Work, one: Claim) -> str:
    return str(_request(work, one).get("prompt") or "")


def _record(work: Work, account: Account, one: Claim, row: Row | None) -> dict[str, Any]:
    """The journal's record: the attempt that was in doubt, or had this very task, has it now; else a new one."""
    latest = one.entry.attempt if one.entry else None
    own = latest if latest and (latest.is_in_doubt or latest.task_id == one.task_id) else None
    shot = work.shots.get(one.step.shot) if one.step else None
    cost = tariff.expected(shot, account.client.provider) if shot else latest.reserved if latest else None
    begun = stamp(row.said) if row else own.intended_at if own else None
    return {
        "attempt": own.id if own else new_attempt(),
        "task_id": one.task_id,
        "account": account.name,
        "host": account.client.host,
        "submitted_at": begun or stamp(work.now() + account.client.ahead),
        "fingerprint": one.entry.fingerprint
        if one.entry and one.entry.fingerprint
        else one.step.fingerprint
        if one.step
        else None,
        "provider": one.provider,
        "model": one.model,
        "request": _request(work, one),
        "reserved": cost.said() if cost else None,
        "seconds": shot.seconds if shot else latest.seconds if latest else None,
    }
