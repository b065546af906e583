"""The house: who may import whom, and who may touch network, disk, clock and environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

RUNNER = Path(__file__).parent.parent / "runner"
# A module imports only from lower floors.
FLOORS: dict[int, str] = {
    0: "errors clock money secrecy templates keywords version takes unseen forms",
    1: "source lock accept",
    2: "catalog judge journal layers learned probe tables locktext united litter http1",
    3: "hosts transport lockread past fit providers answers explain salvage",
    4: "lockfile assets reach replies",
    5: "shots stack ways binding",
    6: "plainly verdict homes roles links chains renames fate rows parameters wire tariff remarks",
    7: "compose preview client budget plan",
    8: "manifest media uploads slots turns still roll written changed report",
    9: "folder work download claiming reading revision",
    10: "watching supply studio cut listing picking inquiry",
    11: "outputs rollcall reconcile fetching adopting canceling embedded",
    12: "paying gates stranded accounts caches",
    13: "schedule doctor answering cleaning",
    14: "door",
    15: "choosing",
    16: "__init__",
    17: "commands",
    18: "cli",
    19: "__main__",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}
# Inside a family the members may use each other; the door is met under the family's own name.
FAMILIES = {"studio", "outputs", "commands", "source", "doctor"}

WORLD = {
    "network": ({"httpx", "uvicorn", "starlette", "socket"}, {"client", "transport", "studio", "lockfile"}),
    "clock": ({"time"}, {"client", "journal", "lockfile", "work", "studio", "door", "outputs", "commands"}),
    "asyncio": ({"asyncio"}, {"studio"}),
}


def _name(path: Path) -> str:
    parts = path.relative_to(RUNNER).parts
    return parts[0] if parts[0] in FAMILIES else parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _ours(path: Path) -> set[str]:
    """The floors' names that a module imports; `from runner import Thing` is the door."""
    found = set()
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] != "runner":
            continue
        if len(parts) == 1:
            continue
        found.add(parts[1] if parts[1] in FLOOR else "__init__")
    return found


FILES = sorted(path for path in RUNNER.rglob("*.py") if "schemas" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(RUNNER).as_posix())
def test_imports_come_from_lower_floors_only(path):
    name = _name(path)
    assert name in FLOOR, f"{name} has no floor yet: give it one in FLOORS"
    climbing = {other for other in _ours(path) if other != name and FLOOR[other] >= FLOOR[name]}
    assert not climbing, f"{name} (floor {FLOOR[name]}) climbs to {climbing}"


@pytest.mark.parametrize("what", WORLD)
def test_only_a_few_touch_the_world(what):
    modules, allowed = WORLD[what]
    touching = {_name(path) for path in FILES if {name.split(".")[0] for name in _imports(path)} & modules}
    assert touching <= allowed


def test_every_floor_is_lived_on():
    existing = {_name(path) for path in FILES}
    assert existing == set(FLOOR), "FLOORS names what is not there, or misses what is"


def test_only_the_client_knows_how_httpx_fails():
    knowing = {_name(path) for path in FILES if "httpx" in {name.split(".")[0] for name in _imports(path)}}
    assert knowing == {"client", "transport"}


def test_only_source_knows_pyyaml():
    knowing = {_name(path) for path in FILES if "yaml" in {name.split(".")[0] for name in _imports(path)}}
    assert knowing <= {"source"}
