"""What a studio is told when it starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.studio.faults import Faults

if TYPE_CHECKING:
    from runner.studio.card import Card


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """`seconds` is how long a task takes at least, ±20 % by task; `life` how long a task id and its link last, in seconds.

    `port` 0 takes a free one. `api_key` None takes any key that is not empty. `in_flight` tasks run at once, the rest
    are PENDING. `clock` gives seconds since the epoch; `render` replaces the animatic. `dialect` is one of
    `runner.studio.dialects.DIALECTS`.
    """

    folder: Path
    port: int = 0
    seconds: float = 0.0
    faults: Faults = field(default_factory=Faults)
    api_key: str | None = None
    in_flight: int = 2
    clock: Callable[[], float] = time.time
    life: float = 86_400
    render: Callable[[Card, Path], None] | None = None
    dialect: str = "native"
