"""Names such as `lost-reply:2` → things that go wrong on purpose, each as often as was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from runner.errors import UsageError

ALWAYS = -1

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "lost-reply": "a submit is accepted, then the connection closes without a reply",
        "drop-submit": "the connection closes before a submit is accepted",
        "slow-reply": "the reply to an accepted submit comes 3 s late",
        "429": "a submit answers Throttling.RateQuota with Retry-After: 1",
        "429-bare": "the same without Retry-After",
        "busy": "a submit answers HTTP 429 with Retry-After: 1, because too many tasks are under way",
        "balance": "a submit answers HTTP 429 that means an empty balance",
        "500": "a submit answers InternalError",
        "503": "a submit answers ModelServingError",
        "missing-media-500": "a submit answers HTTP 500 that means a missing medium",
        "html": "a submit answers a proxy's HTML page with HTTP 502",
        "arrearage": "a submit answers Arrearage: the account is unpaid",
        "wrong-channel": "a submit answers that this key has no access to the model",
        "echo-key": "a submit answers HTTP 400 with the key in the message",
        "redirect": "a submit answers HTTP 307 that leads to itself",
        "dead-oss": "a submit with an oss:// URL answers that the resource has expired",
        "no-id": "a submit is not accepted and answers HTTP 200 with {}",
        "no-id-paid": "a submit is accepted and answers HTTP 200 with {}",
        "ok-error": "a submit is not accepted and answers HTTP 200 with an error in the body",
        "late-check": "a bad value is accepted and fails the task",
        "poll-401": "a query answers that the key is wrong",
        "poll-429": "a query answers Throttling.RateQuota with Retry-After: 1",
        "poll-500": "a query answers HTTP 500",
        "poll-html": "a query answers an HTML page with HTTP 502",
        "poll-drop": "the connection closes without a reply to a query",
        "odd-word": "a query spells the task's status in a way nobody knows",
        "unknown": "a query answers UNKNOWN",
        "unknown-400": "a query answers HTTP 400, task_not_exist",
        "unsupported-uri": "a query answers HTTP 500 with the text: unsupported uri",
        "qps": "more queries a second than the number given (20) answer Throttling.RateQuota",
        "result-pointer": "a query has the link at output.output_video_url only",
        "results-video-url": "a query has the link at output.results.video_url only",
        "gzip-label": "a JSON reply is labelled as gzip and is not, unless the request asked for identity",
        "fail": "an accepted task fails with InternalError",
        "fail-bracket": "an accepted task fails with a code that stands in brackets in its message only",
        "fail-url": "an accepted task fails, and the place of its link holds the error's text",
        "moderation": "an accepted task fails with DataInspectionFailed",
        "media-strings": "a task whose media are objects fails: only bare URLs are taken",
        "media-objects": "a task whose media are bare URLs fails: only objects are taken",
        "small-render": "a render is 640x360 and silent, whatever was asked for",
        "truncate": "a download ends half-way and the connection closes",
        "short-file": "a download is half the file and claims to be whole",
        "expired-link": "a download answers 403 as an expired link does",
        "content-400": "opeai's content endpoint answers HTTP 400 although the task has succeeded",
        "content-cut": "opeai's content endpoint ends half-way and the connection closes",
        "content-redirect": "opeai's content endpoint redirects to the signed link on another host",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A reply that says no before anything was accepted."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


_LATER = MappingProxyType({"Retry-After": "1"})
_FULL = "Requests rate limit exceeded, please try again later."
RATE = Refusal(status=429, code="Throttling.RateQuota", message=_FULL, headers=_LATER)
_BROKEN = Refusal(status=500, code="InternalError", message="An internal error has occurred, please try again later.")
REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    {
        "429": RATE,
        "429-bare": Refusal(status=429, code="Throttling.RateQuota", message=_FULL),
        "busy": Refusal(
            status=429,
            code="Throttling.Concurrency",
            message="Too many tasks are running, please try again later.",
            headers=_LATER,
        ),
        "balance": Refusal(status=429, code="PrepaidBillOverdue", message="The prepaid bill is overdue."),
        "500": _BROKEN,
        "503": Refusal(status=503, code="ModelServingError", message="The model is overloaded, please try again later."),
        "missing-media-500": Refusal(status=500, code="InvalidParameter", message="Field required: input.media"),
        "arrearage": Refusal(
            status=400, code="Arrearage", message="Access denied, please make sure your account is in good standing."
        ),
        "wrong-channel": Refusal(status=403, code="Model.AccessDenied", message="The model belongs to another channel."),
        "echo-key": Refusal(status=400, code="InvalidParameter", message="Cannot be done for the caller {authorization}."),
    }
)
POLL_REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    {
        "poll-401": Refusal(status=401, code="InvalidApiKey", message="Invalid API-key provided."),
        "poll-429": RATE,
        "poll-500": _BROKEN,
    }
)
SMALL = "small-render"
# An empty code is none at all.
DOOMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fail": ("InternalError", "An internal error has occurred, the task made nothing."),
        "fail-bracket": ("", "[InvalidImageUrl] The picture could not be downloaded."),
        "fail-url": ("InternalError", "The task made nothing; there is no video."),
        "moderation": ("DataInspectionFailed", "Input or output data may contain inappropriate content."),
        "media-strings": ("InvalidParameter", "input.media must be a list of URLs"),
        "media-objects": ("InvalidParameter", "input.media must be a list of objects with type and url"),
    }
)


class Faults:
    """How often each fault is still due; asked from the server's loop and from worker threads."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """`NAME`, `NAME:COUNT` or `NAME:*` (every time). Raises UsageError, naming what there is."""
        faults = cls()
        for word in words:
            faults.add(word)
        return faults

    def add(self, word: str) -> None:
        """Switch one more fault on; the last word on a name counts."""
        name, _, count = word.partition(":")
        if name not in KNOWN:
            raise UsageError(f'there is no fault "{name}"', hint="faults are " + ", ".join(KNOWN))
        if count and count != "*" and not (count.isascii() and count.isdigit()):
            raise UsageError(f'"{word}": how often is a whole number or *', hint=f"for example {name}:2")
        often = ALWAYS if count == "*" else int(count or (20 if name == "qps" else 1))
        with self._lock:
            self._due[name] = often

    def take(self, name: str) -> bool:
        """Whether the fault happens now; each happening uses one up."""
        with self._lock:
            due = self._due.get(name, 0)
            self._due[name] = due - 1 if due > 0 else due
            return due != 0

    def first(self, names: Iterable[str]) -> str | None:
        """The first of the names that is due; only that one is used up."""
        return next((name for name in names if self.take(name)), None)

    def due(self, name: str) -> int:
        """How often it is still to happen; -1 for ever."""
        with self._lock:
            return self._due.get(name, 0)
