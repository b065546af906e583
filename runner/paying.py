"""A step's request → a task id on disk, or why not. The only place where money is spent."""

from __future__ import annotations

import anyio

from runner import answers, reconcile, wire
from runner.answers import Accepted, Doubt, Refusal
from runner.clock import stamp
from runner.errors import Unreachable
from runner.plan import Step
from runner.shots import Shot
from runner.work import Account, Work, new_attempt

PATIENCE = 600.0  # seconds of refusals ("not now") that a take bears in one run
_TRIES_UNREACHED = 4
_LONGEST = 60.0


async def pay(work: Work, account: Account, step: Step, shot: Shot, urls: dict[str, str]) -> str | None:
    """Submit until the provider has the task; None when it will not be in this run (the lock says why)."""
    attempt = new_attempt()
    began, wait, unreached, vanished = anyio.current_time(), 1.0, 0, 0
    while True:
        await account.client.submits.turn()
        outcome = await _once(work, account, step, shot, urls, attempt)
        match outcome:
            case Accepted(task_id=task_id):
                account.slots.widen()
                return task_id
            case Doubt():
                found = await reconcile.now(work, account, step.take)
                if found is not None or not work.entry(step.take).error.get("refused"):
                    return found
                attempt = new_attempt()  # its list is complete and has no such task: it never arrived
                vanished += 1
                if vanished >= _TRIES_UNREACHED:
                    return None
                continue
            case Refusal(stop=True):
                account.closed = f"{account.client.provider.name} refuses this account: {outcome.message}"
                return None
            case Refusal(retry=False):
                return None
        unreached += outcome.code == "Unreachable"
        pause = outcome.retry_after or min(wait, _LONGEST)
        if outcome.code != "Unreachable" and anyio.current_time() >= account.narrowed_until:
            account.slots.narrow()  # once for each pause, however many are refused in it
            account.narrowed_until = anyio.current_time() + pause
        if unreached >= _TRIES_UNREACHED:
            account.closed = f"{account.client.provider.name} cannot be reached: {outcome.message}"
            return None
        if anyio.current_time() - began + pause > PATIENCE:
            return None
        work.tell("waiting", take=step.take, reason=f"{outcome.code}: {outcome.message}", until=work.until(pause))
        account.client.submits.hold(pause)
        await anyio.sleep(pause)
        wait *= 2


async def _once(
    work: Work, account: Account, step: Step, shot: Shot, urls: dict[str, str], attempt: str
) -> Accepted | Refusal | Doubt:
    outcome: Accepted | Refusal | Doubt = Doubt(why="the reply was not waited for any longer")
    with work.paid_moment():  # a reply on its way is waited for, at most the grace
        seed = work.intend(step, shot, account, attempt)  # on disk before the request leaves
        body = wire.body(shot, seed=seed, urls=urls)
        request = wire.submit(account.client.provider, shot, body, take=step.take, attempt=attempt)
        try:
            outcome = answers.read_submit(
                account.client.provider, await account.client.submit(request)
            )  # one POST, no retries below
        except Unreachable as error:
            outcome = Doubt(why=error.fact) if error.sent else _unsent(error)
        at = stamp(work.now() + account.client.ahead)  # in the provider's time, by which the task will die
        _note(work, step.take, attempt, outcome, at)  # on disk before anything else
    work.tell("intended", take=step.take, attempt=attempt)
    _tell(work, step.take, attempt, outcome)
    return outcome


def _unsent(error: Unreachable) -> Refusal:
    return Refusal(code="Unreachable", message=error.fact, retry=True, stop=False, retry_after=None)


def _note(work: Work, take: str, attempt: str, outcome: Accepted | Refusal | Doubt, at: str) -> None:
    match outcome:
        case Accepted(task_id=task_id, request_id=request_id):
            try:
                work.ledger.note("submitted", take=take, attempt=attempt, task_id=task_id, request_id=request_id, submitted_at=at)
            except Exception:
                # The disk refuses the one fact that must not be lost: at least a person gets to see it.
                hint = "keep this line: nothing else knows that id"
                work.tell(
                    "error",
                    take=take,
                    code="E601",
                    message=f"task {task_id} is paid for, but could not be written down",
                    hint=hint,
                )
                raise
        case Refusal(code=code, message=message, retry=retry, stop=stop):
            # "Not now" is no failure of the take: it is paced and does not count as an attempt.
            error = {"code": code, "message": message, "retryable": retry or stop, "billed": False}
            work.ledger.note(
                "failed", take=take, attempt=attempt, error={**error, **({"refused": True} if retry or stop else {})}
            )
        case Doubt():
            pass  # `intended` stands, and says just that


def _tell(work: Work, take: str, attempt: str, outcome: Accepted | Refusal | Doubt) -> None:
    match outcome:
        case Accepted(task_id=task_id):
            work.tell("submitted", take=take, attempt=attempt, task_id=task_id)
        case Refusal(code=code, message=message, retry=False, stop=stop):
            work.tell_failed(take, attempt, {"code": code, "message": message, "retryable": stop, "billed": False})
        case Doubt(why=why):
            work.tell("in_doubt", take=take, attempt=attempt, message=why)
        case _:
            pass  # a refusal that only asks for patience is told as `waiting`
