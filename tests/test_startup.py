"""What a command does not need is not loaded: it is what people wait for. Asked of a fresh interpreter's `sys.modules`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import runner

ROOT = Path(__file__).parent.parent
NETWORK = {"httpx", "httpcore", "anyio", "trio", "uvicorn", "starlette", "asyncio", "ssl"}
PICTURES = {"av", "PIL", "numpy"}
HEAVY = {"jsonschema", "rich", "jinja2", "email", *NETWORK, *PICTURES}
FILM = "callsheet: 1\ntitle: T\nshots:\n" + "".join(
    f"  - {{id: s{number:03d}, model: wan2.7-t2v, prompt: A pier}}\n" for number in range(20)
)


def loaded(args: list[str], folder: Path) -> set[str]:
    """The top-level modules, and ours by their whole names, after `callsheet ARGS`."""
    code = (
        "import json, sys; from runner.cli import code; status = code(sys.argv[1:]); "
        "print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status in {0, 75}, done.stderr
    return {name if name.startswith("runner") else name.partition(".")[0] for name in modules}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "film.callsheet.yaml").write_text(FILM)
    return tmp_path


@pytest.mark.parametrize("args", [["--version"], ["--help"]])
def test_version_and_help_load_nothing_of_the_house(args, folder):
    found = loaded(args, folder)
    assert {name for name in found if name.startswith("runner.")} <= {"runner.cli", "runner.errors", "runner.version"}
    assert not found & {*HEAVY, "yaml", "filelock", "tempfile"}


@pytest.mark.parametrize("args", [["check"], ["plan"], ["status"], ["check", "--json"]])
def test_looking_loads_no_network_no_pictures_and_no_jsonschema(args, folder):
    assert not loaded(args, folder) & {*HEAVY, "filelock"}


def test_check_knows_nothing_of_plans_and_locks(folder):
    assert not loaded(["check"], folder) & {
        "runner.door",
        "runner.lockfile",
        "runner.plan",
        "runner.commands.run",
        "runner.studio",
    }


def test_what_is_refused_is_worded_by_jsonschema(tmp_path):
    (tmp_path / "film.callsheet.yaml").write_text(FILM.replace("wan2.7-t2v", "wan2.7-t2v, takes: many"))
    code = "import sys; from runner.cli import code; assert code(['check']) == 2; assert 'jsonschema' in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)


def test_every_name_of_the_door_is_behind_it():
    assert all(getattr(runner, name) is not None for name in runner.__all__)
    assert set(runner.__all__) <= set(dir(runner))
    with pytest.raises(AttributeError, match="no attribute 'lighthouse'"):
        runner.lighthouse  # noqa: B018 - it is the access that fails


def test_a_submodule_never_takes_the_place_of_a_function_of_the_door():
    code = (
        "import runner.report, runner; assert callable(runner.report) and callable(runner.read); from runner.report import Report"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True)
