"""A lock that names a run whose journal is not here → which takes that run may have paid for, left in doubt for a person.

Such a run may have sent anything that the plan would send now. Where the provider's list shows every task since then,
a take that none of them could be was not sent; every other one gets an attempt in doubt, and nothing is bound: nobody
here knows when it was intended.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner import listing
from runner.clock import epoch
from runner.lock import Lock, Run
from runner.plan import Plan, Step
from runner.reconcile import Doubtful, Search, Verdict
from runner.work import Work, new_attempt


def suspected(plan: Plan, known: Lock) -> list[Step]:
    """The steps that the unknown run may have carried out already; those that a person has permitted are not asked again."""
    found = []
    for step in plan.doing("submit", "blocked"):
        entry = known.takes.get(step.was or step.take)
        if entry is None or entry.state == "failed":
            found.append(step)
    return found


async def look(work: Work, run: Run) -> dict[str, Verdict]:
    """A verdict on every suspected take; `no_answer` where a list could not be had, and then nothing is settled."""
    steps = suspected(work.plan, work.ledger.lock)
    found: dict[str, Verdict] = {}
    for name in dict.fromkeys(step.provider for step in steps):
        found.update(await _looked(work, run, [step for step in steps if step.provider == name]))
    return found


async def _looked(work: Work, run: Run, steps: Sequence[Step]) -> dict[str, Verdict]:
    """The verdicts for the steps of one provider."""
    provider, since = work.manifest.catalog.providers[steps[0].provider], epoch(run.since)
    if "list" not in provider.spec:
        return {step.take: Verdict(take=step.take, finding="no_list") for step in steps}
    if work.now() - since > listing.REACH:
        return {step.take: Verdict(take=step.take, finding="too_old") for step in steps}
    takes = [
        Doubtful(
            take=step.take,
            attempt="",
            model=step.model,
            prompt=work.shots[step.shot].prompt or "",
            intended=None,
            since=since,
        )
        for step in steps
    ]
    return await Search(work=work, account=work.accounts[provider.name]).through(takes)


def leave(work: Work, found: dict[str, Verdict]) -> bool:
    """Leave in doubt what may be paid for, and say that the run has been looked into; False, and nothing, where it has not."""
    if any(verdict.finding == "no_answer" for verdict in found.values()):
        return False
    for step in suspected(work.plan, work.ledger.lock):
        verdict = found.get(step.take)
        if verdict is None or verdict.finding == "no_candidate":
            continue
        work.ledger.note(
            "doubted",
            sync=False,  # the last record, which counts, is
            take=step.was or step.take,
            attempt=new_attempt(),
            fingerprint=step.fingerprint,
            seed=step.seed,
            provider=step.provider,
            model=step.model,
            request=work.shots[step.shot].request(),
            reserved=step.cost.said() if step.cost else None,
            seconds=step.seconds,
        )
    work.ledger.settle_run()
    return True
