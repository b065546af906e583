"""What `check` says to code hosts: GitHub's workflow commands and SARIF 2.1.0, one entry a problem, stdout holding nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runner.cli import code
from runner.errors import Place, Problem
from runner.outputs.annotations import RULES, github_lines, sarif

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
FILM = """\
callsheet: 1
shots:
  - {id: s010, model: wan2.7-t2v, prompt: "海辺, 100%: ${tiem}"}
  - {id: s020, model: wan2.7-t2v, prompt: B, parameters: {resolution: 720p}}
  - {id: s030, model: wan2.7-t2v, prompt: C, unchecked: {input: {a: 1}}}
"""


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch):
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Writes a manifest, checks it in its folder, and gives exit code and what went to stdout."""

    def check(form, text=FILM, name="film.callsheet.yaml", *more):
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).write_text(text, encoding="utf-8")
        result = code(["check", name, "--format", form, *more])
        return result, capsys.readouterr().out

    return check


def command(line):
    """A workflow command as GitHub's runner reads it: its word, its properties, its message."""
    word, properties, message = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line).groups()

    def plain(text):
        for escape, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(escape, sign)
        return text

    return word, {name: plain(value) for name, value in (one.split("=", 1) for one in properties.split(","))}, plain(message)


def log(text):
    """A SARIF log, its parts checked against what the standard wants of each; returns its one run."""
    whole = json.loads(text)
    assert whole.keys() == {"$schema", "version", "runs"}
    assert whole["version"] == "2.1.0"
    assert whole["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = whole["runs"]
    assert run.keys() == {"tool", "columnKind", "results"}
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert driver["name"] == "callsheet"
    assert driver["version"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] == rule["fullDescription"]["text"] == rule["help"]["text"] == RULES[rule["id"]]
        assert rule["defaultConfiguration"] == {"level": "error" if rule["id"][0] == "E" else "warning"}
    for result in run["results"]:
        assert result.keys() == {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"}
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning"}
        assert result["message"].keys() == {"text"}
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"(?:[\w.~!$&'()*+;=@/-]|%[0-9A-F]{2})+", place["artifactLocation"]["uri"]), "no URI reference"
        assert place["region"].keys() == {"startLine", "startColumn"}
        assert min(place["region"].values()) >= 1
        assert all(re.fullmatch(r"[0-9a-f]{16}:\d+", mark) for mark in result["partialFingerprints"].values())
    assert {result["ruleId"] for result in run["results"]} == set(ids), "a rule that nothing broke"
    return run


def marks(text):
    """The fingerprints of a log, by the shot's id in the message."""
    found = {}
    for result in log(text)["results"]:
        found[re.search(r"shot (\w+):", result["message"]["text"])[1]] = result["partialFingerprints"]["callsheetProblem/v1"]
    return found


def test_a_workflow_command_escapes_what_would_end_it(tmp_path):
    place = Place("d:film, 50%.yaml", 3, 7)
    problem = Problem(code="W103", message="100%\r\nof a::b, c", place=place, hint="50%", shot="s010")
    (line,) = github_lines([problem], tmp_path)
    told = "::warning file=d%3Afilm%2C 50%25.yaml,line=3,col=7,title=W103::shot s010: 100%25%0D%0Aof a::b, c%0Ahint: 50%25"
    assert line == told
    assert command(line)[2] == "shot s010: 100%\r\nof a::b, c\nhint: 50%"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_problem_is_told_in_every_form_with_one_exit_code(case, monkeypatch, capsys):
    monkeypatch.chdir(case)
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    told = {}
    for form in ("text", "json", "github", "sarif"):
        assert code(["check", "film.callsheet.yaml", "--format", form]) == int((case / "code").read_text())
        told[form] = capsys.readouterr().out
    problems = json.loads(told["json"])["problems"]
    assert problems
    commands = [command(line) for line in told["github"].splitlines()]
    results = log(told["sarif"])["results"]
    assert len(commands) == len(results) == len(problems)
    for problem, (word, facts, message), result in zip(problems, commands, results, strict=True):
        place = [problem["file"], str(problem["line"]), str(problem["column"]), problem["code"]]
        assert (word, list(facts.values())) == (problem["severity"], place)
        region = result["locations"][0]["physicalLocation"]["region"]
        assert (result["ruleId"], region["startLine"], region["startColumn"]) == (
            problem["code"],
            problem["line"],
            problem["column"],
        )
        assert message == result["message"]["text"]
        assert problem["message"] in message
        assert (problem["hint"] or "") in message


def test_sarif_places_by_code_points_and_by_uri(said):
    line = '  - {prompt: "🎬🎬", id: s010, model: wan2.7-t2v, parameters: {resolution: 720p}}'
    _, out = said("sarif", f"callsheet: 1\nshots:\n{line}\n", "two takes.callsheet.yaml")
    place = log(out)["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "two%20takes.callsheet.yaml"
    assert place["region"] == {"startLine": 3, "startColumn": line.index("720p") + 1}


def test_fingerprints_outlive_moved_lines_and_tell_problems_apart(said):
    before = marks(said("sarif")[1])
    head, _, shots = FILM.partition("shots:\n")
    moved = f"{head}title: Moved\nshots:\n  - {{id: s001, model: wan2.7-t2v, prompt: A}}\n{shots}"
    assert marks(said("sarif", moved)[1]) == before
    assert len(set(before.values())) == 3
    assert marks(said("sarif", FILM.replace("s020", "s021"))[1])["s021"] != before["s020"]
    twice = FILM.replace("${tiem}", "${tiem} ${plase}")
    found = [result["partialFingerprints"]["callsheetProblem/v1"] for result in log(said("sarif", twice)[1])["results"]]
    assert len(set(found)) == len(found)


def test_fingerprints_of_problems_that_are_alike_differ(tmp_path):
    alike = [
        Problem(code="E105", message=f"{value} is too large", place=Place("a.yaml", value, 1), shot="s010") for value in (20, 30)
    ]
    results = sarif(alike, tmp_path, "1")["runs"][0]["results"]
    first, second = (result["partialFingerprints"]["callsheetProblem/v1"] for result in results)
    assert (first.partition(":")[0], first != second) == (second.partition(":")[0], True)


def test_a_manifest_without_problems_gives_an_empty_log_and_no_command(said):
    text = "callsheet: 1\nshots: [{id: s010, model: wan2.7-t2v, prompt: A}]\n"
    assert said("github", text) == (0, "")
    result, out = said("sarif", text)
    assert (result, log(out)["results"]) == (0, [])


def test_strict_fails_on_warnings_in_every_form(said):
    text = "callsheet: 1\nshots: [{id: s010, model: wan2.7-t2v, prompt: A, unchecked: {input: {a: 1}}}]\n"
    for form in ("text", "json", "github", "sarif"):
        assert said(form, text)[0] == 0
        assert said(form, text, "film.callsheet.yaml", "--strict")[0] == 2


def test_in_a_workflow_files_are_told_from_the_repositorys_own_folder(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "repository" / "film"
    folder.mkdir(parents=True)
    (folder / "film.callsheet.yaml").write_text(FILM, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    code(["check", "--format", "github"])
    assert command(capsys.readouterr().out.splitlines()[0])[1]["file"] == "film/film.callsheet.yaml"
    code(["check", "--format", "sarif"])
    place = log(capsys.readouterr().out)["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "film/film.callsheet.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "elsewhere"))
    code(["check", "--format", "github"])
    assert command(capsys.readouterr().out.splitlines()[0])[1]["file"] == "film.callsheet.yaml"


def test_json_is_the_json_format_and_nothing_else(said, capsys):
    assert said("json", FILM, "film.callsheet.yaml", "--json") == said("json")
    assert code(["check", "film.callsheet.yaml", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"] == 2
    assert code(["check", "film.callsheet.yaml", "--json", "--format", "sarif"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_every_code_that_can_be_said_has_a_rule():
    sources = (Path(__file__).parent.parent / "runner").rglob("*.py")
    used = {found for path in sources for found in re.findall(r'"([EW]\d{3})"', path.read_text("utf-8"))}
    # E601 is an event of a run; a check never says it.
    assert used - {"E601"} == RULES.keys()
