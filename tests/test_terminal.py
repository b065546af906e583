"""What a person sees on a real terminal: a pseudo-terminal of the operating system, the real command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.studio import Settings, Studio
from tests.faults.world import billed, storyboard, tiny

pty = pytest.importorskip("pty")  # Windows has none
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny)) as studio:
        yield studio


def on_terminal(folder, *args, typed=b"", **environ):
    """Run with all three streams on a terminal; exit code and what stood on the screen."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100", **environ}
    child = subprocess.Popen(
        [sys.executable, "-m", "runner", *args], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    if typed:
        os.write(ours, typed)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # Linux says EIO when the other end is closed
        pass
    os.close(ours)
    return child.wait(30), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())


def test_the_live_view_ends_tidily(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="live").parent
    code, said = on_terminal(folder, "run")
    assert code == 0, said
    assert "3 saved" in said
    assert "bug" not in said


def test_paid_submits_are_asked_for_and_a_no_sends_nothing(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="paid").parent
    text = (folder / "small.callsheet.yaml").read_text()
    paid = "provider: qwencloud\nproviders: {qwencloud: {base_url: 'https://dashscope-intl.aliyuncs.com/api/v1'}}\n"
    (folder / "small.callsheet.yaml").write_text(re.sub(r"providers:\n.*\n", paid, text))
    code, said = on_terminal(folder, "run", typed=b"n\n", DASHSCOPE_API_KEY="a-key-of-no-account")
    assert code == 3, said
    assert "Submit 3 paid takes?" in said
    assert "0.60 USD" in said  # 3 takes of 2 s at 0.10
    assert billed(studio, "paid") == []


def test_no_spend_refuses_before_anything_is_asked(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="nospend").parent
    code, said = on_terminal(folder, "run", "--provider", "qwencloud", "--yes", CALLSHEET_NO_SPEND="1", DASHSCOPE_API_KEY="a-key")
    assert code == 3
    assert "CALLSHEET_NO_SPEND" in said


@pytest.mark.parametrize(
    "verb",
    [
        "init",
        "check",
        "plan",
        "run",
        "collect",
        "status",
        "adopt",
        "again",
        "reconcile",
        "cancel",
        "models",
        "providers",
        "schema",
        "studio",
    ],
)
def test_every_verb_has_help_with_an_example(verb, capsys):
    from runner.cli import code

    assert code([verb, "--help"]) == 0
    assert f"callsheet {verb}" in capsys.readouterr().out.split("Options:")[0].split("\n", 1)[1]


def test_start_up_loads_nothing_heavy(tmp_path):
    folder = storyboard(tmp_path / "film", url="http://127.0.0.1:9/api/v1", tag="light").parent
    program = (
        "import sys; from runner.cli import code; code(['plan']); "
        "print(sorted({'httpx', 'av', 'rich', 'uvicorn', 'starlette'} & set(sys.modules)), file=sys.stderr)"
    )
    (folder / "small.callsheet.yaml").write_text("callsheet: 1\ndefaults: {model: wan2.7-t2v}\nshots: [{id: s, prompt: A}]\n")
    done = subprocess.run(  # noqa: PLW1510 - its last line is what is looked at
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
