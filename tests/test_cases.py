"""Each folder under `cases/` is a broken (or just warned of) manifest, what `check` says of it, and the exit code.

`CALLSHEET_WRITE_CASES=1 pytest tests/test_cases.py` writes `said.txt` and `code` anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runner.cli import code

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
_PLACE = re.compile(r"^\S+:\d+:\d+: (error|warning): ", re.MULTILINE)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_check_says_what_is_wrong_and_where(case, monkeypatch, capsys):
    monkeypatch.chdir(case)
    for name in ("DASHSCOPE_API_KEY", "QWENCLOUD_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    result = code(["check", "film.callsheet.yaml"])
    said = capsys.readouterr()
    if os.environ.get("CALLSHEET_WRITE_CASES"):
        (case / "said.txt").write_text(said.out, encoding="utf-8")
        (case / "code").write_text(f"{result}\n", encoding="utf-8")
    assert said.out == (case / "said.txt").read_text(encoding="utf-8")
    assert result == int((case / "code").read_text())
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_problem_has_a_place(case):
    said = (case / "said.txt").read_text(encoding="utf-8")
    assert len(_PLACE.findall(said)) == len(re.findall(r"\[[EW]\d{3}\]$", said, re.MULTILINE)) > 0


def test_there_are_many_kinds_of_broken_manifests():
    broken = [case for case in CASES if (case / "code").read_text().strip() == "2"]
    codes = {found for case in broken for found in re.findall(r"\[(E\d{3})\]", (case / "said.txt").read_text(encoding="utf-8"))}
    assert len(broken) >= 20
    assert len(codes) >= 15


@pytest.mark.parametrize(
    "case", [case for case in CASES if (case / "code").read_text().strip() == "2"], ids=lambda path: path.name
)
def test_a_run_of_it_sends_nothing(case, monkeypatch, tmp_path, capsys):
    """`run` ends with 2 as well, before anything is opened or written."""
    import shutil

    folder = tmp_path / "film"
    shutil.copytree(case, folder)
    monkeypatch.chdir(folder)
    assert code(["run", "film.callsheet.yaml"]) == 2
    assert not (folder / ".callsheet").exists()
    assert "error" in capsys.readouterr().err
