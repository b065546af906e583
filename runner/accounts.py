"""Providers and keys → accounts open for work: a client each, slots, uploads; the studio is started where it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import embedded
from runner.client import Client
from runner.lockfile import Files
from runner.providers import trusted_urls
from runner.shots import Manifest
from runner.slots import Slots
from runner.uploads import UploadCache, Uploads
from runner.work import Account

if TYPE_CHECKING:
    from runner.studio import Studio


@asynccontextmanager
async def opened(
    manifest: Manifest,
    files: Files,
    keys: Mapping[str, str | None],
    *,
    trust: Sequence[str],
    now: Callable[[], float],
    in_flight: int | None = None,
) -> AsyncIterator[dict[str, Account]]:
    """An account for every provider that `keys` names, closed at the end."""
    async with AsyncExitStack() as stack:
        made = {}
        for name, key in keys.items():
            provider = manifest.catalog.providers[name]
            if provider.base_url:
                base_urls, place = trusted_urls(provider, tuple(trust)), files.state
            else:
                # What was uploaded to this studio is in no other: the list of it lies, and goes, with its tasks.
                place = embedded.home(files)
                base_urls = [stack.enter_context(_studio(place, provider.spec)).base_url]
            client = await stack.enter_async_context(Client(provider, base_urls, key or "studio"))
            account = f"{name}:{sha256(key.encode()).hexdigest()[:8]}" if key else name
            limits = [manifest.in_flight, in_flight, int(provider.limit("in_flight"))]
            cache = UploadCache(place / "uploads.json", account)
            made[name] = Account(
                client=client,
                name=account,
                slots=Slots(min(limit for limit in limits if limit)),
                uploads=Uploads(client, cache, now),
            )
        yield made


@contextmanager
def _studio(place: Path, spec: Mapping[str, Any]) -> Iterator[Studio]:
    """The embedded provider, for as long as this run lasts; its tasks lie in `place`."""
    from runner.studio import Faults, Settings, Studio  # a server of its own: loaded only where it is the provider

    settings = Settings(
        folder=place,
        seconds=float(spec.get("seconds", 0.0)),
        faults=Faults.parse(spec.get("faults", [])),
    )
    studio = Studio(settings)
    studio.start()
    try:
        yield studio
    finally:
        studio.stop()
