"""The takes of a lock by their keys, as a run changes them: finds a shot's, and tells who asked which have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn


class Takes(dict[str, Any]):
    """Entries by key. To find one shot's takes, or what has changed, takes no longer with a hundred thousand than with ten."""

    __slots__ = ("_keys", "_watched")

    def __init__(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(entries)
        self._keys: dict[str, tuple[str, ...]] = {}
        self._watched: list[set[str]] = []
        for key in self:
            self._count_in(key)

    def of(self, shot: str) -> tuple[str, ...]:
        """The keys of a shot's takes, in no order."""
        return self._keys.get(shot, ())

    def watch(self) -> set[str]:
        """A set that from now on gets the key of every take that changes; whoever asked for it empties it."""
        changed: set[str] = set()
        self._watched.append(changed)
        return changed

    def __setitem__(self, key: str, entry: Any) -> None:
        if key not in self:
            self._count_in(key)
        super().__setitem__(key, entry)
        self._tell(key)

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            shot = key.rpartition("@")[0]
            self._keys[shot] = tuple(one for one in self._keys[shot] if one != key)
            self._tell(key)
        return super().pop(key, *default)

    def _count_in(self, key: str) -> None:
        shot = key.rpartition("@")[0]
        self._keys[shot] = (*self._keys.get(shot, ()), key)

    def _tell(self, key: str) -> None:
        for changed in self._watched:
            changed.add(key)

    def _never(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("takes change one by one")

    __delitem__ = clear = popitem = setdefault = update = __ior__ = _never
