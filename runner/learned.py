"""Past attempts → how long a task of its kind takes, from its submit to its end. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from runner.clock import epoch
from runner.lock import Attempt, Entry

_STRAYS = 6.0  # times the median: a task whose end was only seen by a later run
_LATEST = 200  # of a kind; older ones say nothing of how busy the service is now, and a hundred thousand would cost time
_MOST = 24 * 3600.0  # seconds; no service keeps a task for longer

_Kind = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One task: how long it took, and how many seconds of video it made where that is known."""

    took: float
    seconds: float | None


class Durations:
    """What tasks took, by provider, model, tier and seconds; asked for a kind that was never seen, it answers by the nearest one."""

    def __init__(self) -> None:
        self._by_kind: dict[_Kind, deque[Sample]] = {}
        self._sorted: dict[tuple[_Kind, float | None], list[float]] = {}

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Durations:
        """From a lock's takes: every attempt that ended with a render."""
        made = cls()
        for entry in entries:
            for attempt in entry.attempts:
                made._learn(entry, attempt)
        return made

    def learn(self, entry: Entry) -> None:
        """One more task: the take's latest attempt, which has just ended."""
        if entry.attempt:
            self._learn(entry, entry.attempt)

    def _learn(self, entry: Entry, attempt: Attempt) -> None:
        took = _took(attempt)
        if took is not None:
            self.add(entry.provider, entry.model, tier(entry.request.get("parameters", {})), attempt.seconds, took)

    def add(self, provider: str | None, model: str | None, tier: str | None, seconds: float | None, took: float) -> None:
        """One more task, `took` seconds from its submit to its end."""
        for kind in ((provider, model, tier), (provider, model), (provider,)):
            self._by_kind.setdefault(kind, deque(maxlen=_LATEST)).append(Sample(took, seconds))
        self._sorted.clear()

    def expect(
        self,
        provider: str | None,
        model: str | None,
        tier: str | None,
        seconds: float | None,
        q: float = 0.5,
        *,
        least: int = 1,
    ) -> float | None:
        """Seconds within which the share `q` of such tasks ended; None where this provider has never ended so many (`least`).

        Tasks of the same length count where there are any, else those of other lengths, scaled by their length.
        """
        for kind in ((provider, model, tier), (provider, model), (provider,)):
            if len(self._by_kind.get(kind, ())) >= least:
                return _quantile(self._lengths(kind, seconds), q)
        return None

    def _lengths(self, kind: _Kind, seconds: float | None) -> list[float]:
        known = self._sorted.get((kind, seconds))
        if known is None:
            samples = self._by_kind[kind]
            equal = [one.took for one in samples if one.seconds == seconds]
            known = sorted(_without_strays(equal or [_scaled(one, seconds) for one in samples]))
            self._sorted[kind, seconds] = known
        return known


def tier(parameters: Mapping[str, Any]) -> str | None:
    """What a task's length goes by beside its seconds, as its author wrote it: a resolution or a size."""
    said = parameters.get("resolution") or parameters.get("size")
    return None if said is None else str(said)


def _took(attempt: Attempt) -> float | None:
    if attempt.submitted_at is None or attempt.ended_at is None or attempt.error:
        return None
    took = epoch(attempt.ended_at) - epoch(attempt.submitted_at)  # two clocks: of an hour that one is off nothing is learned
    return took if 0 < took < _MOST else None


def _scaled(sample: Sample, seconds: float | None) -> float:
    return sample.took * seconds / sample.seconds if seconds and sample.seconds else sample.took


def _without_strays(lengths: Sequence[float]) -> Sequence[float]:
    middle = median(lengths)
    return [length for length in lengths if length <= _STRAYS * middle]


def _quantile(lengths: Sequence[float], q: float) -> float:
    place = q * (len(lengths) - 1)
    below = int(place)
    above = min(below + 1, len(lengths) - 1)
    return lengths[below] + (lengths[above] - lengths[below]) * (place - below)
