"""Shots with links + Lock → the same with each link's render known, or what they wait for. Pure.

A shot that is linked to others has no fingerprint until their renders are known: its identity is theirs (sha256 and
selector, never pixels, never ids). So a plan looks at linked shots in the order in which none comes before its sources:

- the source has a take that is shown (picked, else the only current one): the link is known, and so is the fingerprint;
- it is being made or fetched by the same plan: the link is open, the step is `submit` with `after`, its price already sure;
- it has several takes and none is picked: the shot waits for a pick. What was made of one of them stays current, so that
  another take upstream makes nothing outdated until it is picked;
- nothing brings it (failed, blocked, not selected): the shot is `blocked`, and says by whom.

While a run goes on, `settled` makes open links known as their takes are saved, and only from the takes that the plan named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner import fit
from runner.assets import Link, Medium
from runner.lock import Entry
from runner.probe import Probe
from runner.shots import Shot, choice

_COMING = {"submit", "watch", "fetch"}
_WHY = {
    "answer": "which waits for your answer",
    "blocked": "which is blocked",
    "absent": "whose file is not here",
    "unselected": "which is not rendered, nor selected",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A shot that others are linked to. `actions` is what the plan does with its takes; `here` are takes whose files are."""

    shot: Shot
    takes: Mapping[str, Entry]
    picked: str | None
    actions: Mapping[str, str]
    here: frozenset[str]

    def is_stand_in(self, take: str) -> bool:
        """Whether a take is only the studio's, of a shot that goes elsewhere: nothing is paid for on such a ground."""
        return take in self.takes and self.takes[take].provider == "studio" and self.shot.provider != "studio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A linked shot as far as its links are known; the takes that have to come first, and why none can be made now.

    `waits` are the takes that it is about: one that does not come, or several of which none is picked.
    """

    shot: Shot
    after: tuple[str, ...] = ()
    wait: str | None = None
    waits: tuple[str, ...] = ()
    aside: str | None = None  # what to say of the takes that there are


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    medium: Medium
    after: tuple[str, ...] = ()
    wait: str | None = None
    waits: tuple[str, ...] = ()
    aside: str | None = None


def standing(shot: Shot, takes: Mapping[str, Entry], sources: Mapping[str, Source]) -> Standing:
    """`takes` are the shot's own, in their order; `sources` the shots that it is linked to, by id."""
    found = [_found(medium, medium.link, takes, sources) if medium.link else _Found(medium=medium) for medium in shot.media]
    lacking = next((one for one in found if one.wait), None)
    return Standing(
        shot=shot.with_media(tuple(one.medium for one in found)),
        after=tuple(dict.fromkeys(take for one in found for take in one.after)),
        wait=lacking.wait if lacking else None,
        waits=lacking.waits if lacking else (),
        aside=next((one.aside for one in found if one.aside), None),
    )


def settled(shot: Shot, takes: Mapping[str, Entry]) -> Shot:
    """The shot with those links known whose takes are saved by now."""
    media = []
    for medium in shot.media:
        entry = takes.get(medium.take or "")
        render = entry.render if entry and entry.state == "saved" else None
        media.append(_known(medium, medium.link, medium.take, render) if medium.link and medium.take and render else medium)
    return shot.with_media(tuple(media))


def unfit(media: Iterable[Medium]) -> str | None:
    """What keeps a linked render from going where it is to go, now that it is known; None where nothing does."""
    for medium in media:
        if medium.link is None or medium.probe is None:
            continue
        if fault := medium.link.beyond(medium.probe.seconds):
            return fault.message
        for fault in fit.misfits(medium.rule, medium.probe):
            if fault.code.startswith("E"):
                return f"{medium.link.named(medium.take)} {fault.message}"
    return None


def _found(medium: Medium, link: Link, own: Mapping[str, Entry], sources: Mapping[str, Source]) -> _Found:
    source = sources[link.shot]
    saved = {
        key: entry
        for key, entry in source.takes.items()
        if entry.state == "saved" and entry.render and not source.is_stand_in(key)
    }
    if link.take is not None:
        return _of(medium, link, f"{link.shot}@{link.take}", source)
    if source.picked in saved:
        return _of(medium, link, str(source.picked), source)
    coming = [key for key, action in source.actions.items() if action in _COMING and key not in saved]
    keys = [*choice(source.shot, saved), *coming]
    if len(keys) == 1:
        return _of(medium, link, keys[0], source)
    if not keys:
        for key, action in source.actions.items():
            if action in _WHY:
                return _lacks(medium, key, _WHY[action])
        return _Found(medium=medium, wait=f"{link.shot} has no render and wants no takes")
    return _among(medium, link, own, source, keys)


def _among(medium: Medium, link: Link, own: Mapping[str, Entry], source: Source, keys: Sequence[str]) -> _Found:
    """Several takes and none picked: the shot waits, but what it was made of so far goes on counting."""
    wait = f"waits for a pick among {', '.join(keys)}"
    renders = {key: entry.render for key in keys if (entry := source.takes.get(key)) and entry.state == "saved" and entry.render}
    for entry in reversed([*own.values()]):
        for key, render in renders.items():
            if _is_of(entry, medium, link, render):
                aside = f"made of {key}; none of {', '.join(keys)} is picked"
                return replace(_of(medium, link, key, source), wait=wait, waits=tuple(keys), aside=aside)
    return _Found(medium=medium, wait=wait, waits=tuple(keys))


def _of(medium: Medium, link: Link, key: str, source: Source) -> _Found:
    """The link as a certain take has it, or will."""
    entry, action = source.takes.get(key), source.actions.get(key)
    if source.is_stand_in(key):
        return _lacks(medium, key, "which only the studio has")
    if entry and entry.state == "saved" and entry.render:
        known = _known(medium, link, key, entry.render)
        if action == "fetch":
            return _Found(medium=known, after=(key,), wait=unfit([known]))
        return _Found(medium=known, wait=unfit([known])) if key in source.here else _lacks(known, key, _WHY["absent"])
    if action in _COMING or (entry and entry.state in {"submitted", "rendered"}):
        return _Found(medium=replace(medium, take=key), after=(key,))
    if action in _WHY:
        return _lacks(medium, key, _WHY[action])
    return _lacks(medium, key, f"which has no render ({entry.state})" if entry else "which is neither in the lock nor wanted")


def _lacks(medium: Medium, key: str, why: str) -> _Found:
    return _Found(medium=medium, wait=f"waits for {key}, {why}", waits=(key,))


def _known(medium: Medium, link: Link, key: str, render: Mapping[str, Any]) -> Medium:
    facts: dict[str, Any] = {name: render.get(name) for name in ("width", "height", "seconds")}
    # The picture's own format and bytes show when it is cut; its second is looked for in the video's length.
    if medium.kind == "image":
        probe = Probe(kind="image", format="png", bytes=0, **facts)
    else:
        probe = Probe(kind="video", format="mp4", bytes=int(render["bytes"]), fps=render.get("fps"), **facts)
    return replace(medium, take=key, identity=link.identity(str(render["sha256"])), probe=probe)


def _is_of(entry: Entry, medium: Medium, link: Link, render: Mapping[str, Any]) -> bool:
    """Whether a take was made of that render of the other shot, by what its request says."""
    said: Sequence[str] | str = entry.request.get("media", {}).get(medium.role.partition("/")[0], "")
    words = [said] if isinstance(said, str) else said
    identity = link.identity(str(render["sha256"]))
    return any(word.rpartition(" ")[2] == identity for word in words)
