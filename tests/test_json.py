"""`--json`, the one rule of all verbs: however a command line ends, a script finds exactly one object on standard output.

`run`, `collect` and `preview` say lines instead, of which the last is always a `report`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import runner
from runner.cli import VERBS, code
from runner.studio import Settings, Studio
from tests.faults.world import tiny

ROOT = Path(__file__).parent.parent
EVENTS = {"run", "collect", "preview"}
STORYBOARD = """\
callsheet: 1
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.02, every: 0.02}}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: A lighthouse at dusk, takes: 2}}
  - {{id: s020, prompt: The keeper turns}}
"""
BROKEN = "callsheet: 1\ndefaults: {model: wan2.7-t2v}\nshots:\n  - {id: s010, promt: A, takes: many}\n"
# Each verb's words behind its manifest, and again with a shot, a take or a name that is not there.
WORDS = {
    "init": ([], None),
    "check": ([], None),
    "plan": ([], ["--only", "nobody"]),
    "run": ([], ["--only", "nobody"]),
    "preview": ([], None),
    "collect": ([], ["--only", "nobody"]),
    "status": ([], ["--only", "nobody"]),
    "why": (["s010"], ["nobody"]),
    "retake": (["s010"], ["nobody"]),
    "pick": (["s010@1"], ["s010@9"]),
    "export": (["--to", "csv"], ["--to", "csv", "--only", "nobody"]),
    "clean": (["--yes"], None),
    "adopt": (["s010@9", "task-1"], ["nobody@1", "task-1"]),
    "again": (["s010@1"], ["nobody@1"]),
    "reconcile": ([], None),
    "cancel": (["--all"], ["nobody@1"]),
    "board": ([], ["--only", "nobody"]),
    "reel": ([], ["--only", "nobody"]),
    "models": ([], ["nobody"]),
    "providers": ([], ["nobody"]),
    "schema": (["lock"], ["nobody"]),
    "doctor": ([], ["nobody"]),
    "studio": (["--port", "0"], ["--fault", "nobody"]),
}
READING = [verb for verb in VERBS if verb not in {"init", "models", "providers", "schema", "doctor", "studio"}]
HOLDING = ("run", "collect", "retake", "pick", "clean", "adopt", "again", "reconcile")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json") / "film"
    folder.mkdir()
    with Studio(Settings(folder=folder.parent / "studio", render=tiny)) as studio:
        path = folder / "film.callsheet.yaml"
        path.write_text(STORYBOARD.format(url=studio.base_url))
        assert code(["run", str(path)]) == 0
        yield folder


@pytest.fixture
def film(rendered, tmp_path, monkeypatch):
    shutil.copytree(rendered, tmp_path / "film")
    monkeypatch.chdir(tmp_path / "film")
    return tmp_path / "film"


@pytest.fixture
def said(capsys):
    """Exit code and what a script reads of `VERB WORDS --json`: one object, or the last of its lines."""

    def ask(verb, *words):
        capsys.readouterr()
        result = code([verb, *words, "--json"])
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        return result, read(verb, found.out, result)

    return ask


def read(verb, text, result):
    """The one object; of the verbs that say events the report, all lines judged."""
    if verb not in EVENTS:
        whole = json.loads(text)  # one object: anything behind it is an error here
        assert isinstance(whole, dict)
        return whole
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [number for number, line in enumerate(lines) if line["event"] == "report"] == [len(lines) - 1]
    assert lines[-1]["exit_code"] == result
    errors = [line for line in lines if line["event"] == "error"]
    return {**lines[-1], "errors": errors}


def is_told(verb, result, whole):
    """Whether the object says that it went wrong, and how."""
    if verb in EVENTS:
        return whole["exit_code"] == result and bool(whole["errors"]) and all(one["message"] for one in whole["errors"])
    error = whole["error"]
    assert set(error) == {"message", "hint", "exit_code"}
    return error["exit_code"] == result and bool(error["message"])


def test_no_verb_is_left_out():
    assert set(WORDS) == set(VERBS)


@pytest.mark.parametrize("verb", READING)
def test_without_a_manifest(verb, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result, whole = said(verb, *WORDS[verb][0])
    assert result == 2
    assert is_told(verb, result, whole)
    assert "there is no *.callsheet.yaml in this folder" in json.dumps(whole)


@pytest.mark.parametrize("verb", READING)
def test_a_broken_manifest_is_told_with_every_place(verb, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("film.callsheet.yaml").write_text(BROKEN)
    result, whole = said(verb, *WORDS[verb][0])
    if verb == "status":  # the lock alone
        assert (result, whole["takes"]) == (0, [])
        return
    assert result == 2
    problems = whole["errors"] if verb in EVENTS else whole["problems"]
    assert [(one["file"], one["line"], one["column"]) for one in problems] == [
        (one["file"], one["line"], one["column"]) for one in json.loads(json.dumps(said("check")[1]["problems"]))
    ]
    assert len(problems) == 2
    if verb != "check":
        assert is_told(verb, result, whole)
    if verb not in EVENTS:
        assert problems == said("check")[1]["problems"]


@pytest.mark.parametrize("verb", [verb for verb, (_, unknown) in WORDS.items() if unknown])
def test_what_is_not_there(verb, said, film):
    result, whole = said(verb, *WORDS[verb][1])
    if verb == "adopt":  # its own list: it goes pair by pair
        assert (result, [one["take"] for one in whole["refused"]]) == (3, ["nobody@1"])
    else:
        assert result == 2
        assert is_told(verb, result, whole)
    if verb in EVENTS:  # what is known is reported all the same
        assert whole["counts"] == {"saved": 3}


@pytest.mark.parametrize("verb", READING)
def test_beside_a_run_that_has_the_lock(verb, said, film):
    with runner.hold(runner.read(film / "film.callsheet.yaml")):
        result, whole = said(verb, *WORDS[verb][0])
    if verb not in HOLDING:
        assert result == 0
        assert "error" not in whole
        return
    assert result == 3
    assert is_told(verb, result, whole)
    assert f"{os.getpid()} on " in json.dumps(whole)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("words", [["--nope"], ["--nope", "x", "y", "z"]], ids=len)
def test_words_that_cannot_be_understood(verb, words, said, film):
    result, whole = said(verb, *words)
    assert result == 2
    assert is_told(verb, result, whole)
    assert 'there is no option "--nope"' in json.dumps(whole).replace("\\", "")


def test_a_verb_that_is_none(said):
    result, whole = said("pln")
    assert result == 2
    assert (whole["error"]["message"], whole["error"]["hint"]) == ('there is no command "pln"', 'did you mean "plan"?')


@pytest.mark.parametrize("verb", ["models", "providers", "schema", "doctor", "plan", "status", "why", "board", "reel", "init"])
def test_what_goes_well_is_one_object_too(verb, said, film):
    result, whole = said(verb, *WORDS[verb][0])
    assert result == 0
    assert "error" not in whole


def test_check_says_json_by_its_format_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in (["--format", "json"], ["--format=json"]):
        assert code(["check", *words]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2
    assert code(["check"]) == 2
    assert capsys.readouterr().out == ""


def test_paid_takes_without_approval(said, film, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    result, whole = said("run", "--provider", "qwencloud")
    assert (result, whole["exit_code"]) == (3, 3)
    assert whole["errors"][0]["code"] == "Refused"
    assert whole["counts"] == {"saved": 3}


def test_words_for_people_are_said_as_well_and_on_standard_error_only(film, capsys):
    for words in (["plan", "--only", "nobody"], ["run", "--only", "nobody"]):
        assert code([*words, "--json"]) == 2
        assert 'callsheet: error: no take is called "nobody"\n' in capsys.readouterr().err
        assert code(words) == 2
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_bug_of_ours(verb, said, film, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(tempfile, "tempdir", str(film))
    monkeypatch.setattr("runner.plan.decide", broken)
    result, whole = said(verb)
    assert result == 70
    assert is_told(verb, result, whole)
    assert [*film.glob("callsheet-*.log")]


def test_a_bug_in_the_middle_of_a_run_ends_its_lines_as_well(said, film, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(tempfile, "tempdir", str(film))
    monkeypatch.setattr("runner.paying.wire.submit", broken)
    text = (film / "film.callsheet.yaml").read_text()
    (film / "film.callsheet.yaml").write_text(text.replace("at dusk", "at dawn"))
    result, whole = said("run")  # behind the line of the plan
    assert (result, whole["seq"]) == (70, 2)
    assert [one["code"] for one in whole["errors"]] == ["Bug"]


def test_a_bug_behind_the_object_adds_no_second_one(said, film, monkeypatch):
    def broken(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(tempfile, "tempdir", str(film))
    monkeypatch.setattr("runner.plan.Plan.has_work", property(broken))  # asked for when the plan has been said
    result, whole = said("plan", "--check")
    assert (result, len(whole["steps"])) == (70, 3)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent another way")
def test_what_was_said_is_not_said_twice(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "studio", "--port", "0", "--folder", "studio", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert json.loads(process.stdout.readline())["dialect"] == "native"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")


@pytest.mark.skipif(os.name == "nt", reason="no named pipes, and Ctrl-C is sent another way")
@pytest.mark.parametrize("verb", ["plan", "collect"])
def test_ctrl_c_before_anything_was_said(verb, film):
    """Stopped while it reads its keys from a pipe into which nobody writes."""
    os.mkfifo(film / "keys")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", verb, "--env-file", "keys", "--json"],
        cwd=film,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (film / "keys").open("w"):  # opened only when the other end is
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "stopped")
    assert is_told(verb, 130, read(verb, out, 130))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize(
    ("name", "encoding"), [(b"\xff", "utf-8"), (b"\xff", "ascii"), ("灯".encode(), "ascii"), ("灯".encode(), "utf-8")]
)
def test_a_name_that_cannot_be_written_is_json_all_the_same(tmp_path, name, encoding):
    words = [sys.executable, "-m", "runner", "plan", name + b".callsheet.yaml", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode == 2
    assert os.fsdecode(name) in json.loads(done.stdout)["error"]["message"]
    assert b"Traceback" not in done.stderr


# `clean`


def test_clean_lists_what_would_go_and_deletes_nothing(film, said, capsys):
    text = (film / "film.callsheet.yaml").read_text()
    (film / "film.callsheet.yaml").write_text(text.replace("at dusk", "at dawn"))
    assert code(["run"]) == 0
    there = sorted(path for path in film.rglob("*") if path.is_file())
    result, whole = said("clean")
    assert result == 0
    assert {(one["name"], one["deleted"]) for one in whole["items"]} >= {("s010@1", False), ("s010@2", False)}
    assert (whole["bytes"] > 0, whole["freed"]) == (True, 0)
    assert sorted(path for path in film.rglob("*") if path.is_file()) == there
    assert code(["clean", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == whole
    result, whole = said("clean", "--yes")
    assert result == 0
    assert all(one["deleted"] for one in whole["items"])
    assert not (film / "renders/film/takes/s010@1.mp4").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full is Linux's")
@pytest.mark.parametrize("words", [["plan"], ["plan", "--json"], ["run", "--json"], ["status"]])
@pytest.mark.parametrize("is_heard", [True, False], ids=["stderr elsewhere", "stderr too"])
def test_a_full_disk_under_standard_output_is_no_bug_of_ours(film, words, is_heard):
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE if is_heard else full}
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-m", "runner", *words], check=False, cwd=film, env=env, **streams)
    assert done.returncode == 75
    if is_heard:
        said = done.stderr.decode()
        assert "callsheet: error: standard output cannot be written: No space left on device\n" in said
        assert not [word for word in ("Traceback", "Exception ignored", "bug") if word in said], said
