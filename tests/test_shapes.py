"""What programs get: every JSON output, every event and the lock itself fit the schemas that are shipped."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from runner import catalog
from runner.cli import code
from runner.studio import Faults, Settings, Studio
from tests.faults.world import storyboard, tiny

NAMES = ("check", "event", "lock", "manifest", "plan", "provider", "report")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    faults = Faults.parse(["429:1", "moderation:1"])
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, faults=faults)) as studio:
        yield studio


def fits(name, value):
    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(catalog.schema(name)).iter_errors(value)]
    assert not problems, problems


@pytest.mark.parametrize("name", [*NAMES, *{model.id for model in catalog.load().models.values()}])
def test_every_schema_is_one(name):
    Draft202012Validator.check_schema(catalog.schema(name))


@pytest.mark.parametrize("provider", catalog.load().providers.values(), ids=lambda provider: provider.name)
def test_every_profile_fits_its_schema(provider):
    fits("provider", provider.spec)


@pytest.mark.parametrize(
    "model", {model.id: model for model in catalog.load().models.values()}.values(), ids=lambda model: model.id
)
def test_every_model_says_where_its_fields_go(model):
    fields = [rule for name, rule in model.schema["properties"].items() if name not in {"media", "parameters"}]
    for rule in [*fields, *model.roles.values(), *model.parameters.values()]:
        assert rule["x-to"].startswith(("/input/", "/parameters/"))
        assert rule["description"]
    assert {"id", "makes", "endpoint", "regions", "sources", "checked"} <= model.about.keys()


def test_what_the_commands_say(studio, tmp_path, monkeypatch, capsys):
    path = storyboard(tmp_path / "film", url=studio.base_url, tag="shapes")
    monkeypatch.chdir(path.parent)

    def said(*args, exits=0):
        assert code([*args]) == exits
        return capsys.readouterr().out

    fits("check", json.loads(said("check", "--json")))
    fits("plan", json.loads(said("plan", "--json")))
    events = [json.loads(line) for line in said("run", "--json", exits=1).splitlines()]
    for event in events:
        fits("event", event)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[0]["event"] == "plan"
    assert events[-1]["event"] == "report"
    assert {"intended", "submitted", "status", "rendered", "saved", "failed", "waiting"} <= {event["event"] for event in events}
    fits("report", json.loads(said("status", "--json", exits=1)))
    fits("lock", json.loads((path.parent / "small.callsheet.lock").read_text()))
    failed = next(event["take"] for event in events if event["event"] == "failed")
    assert json.loads(said("again", "small.callsheet.yaml", failed, "--json"))["again"] == [failed]
    fits("lock", json.loads((path.parent / "small.callsheet.lock").read_text()))
    assert json.loads(said("run", "--json").splitlines()[-1])["counts"] == {"saved": 3}


@pytest.mark.parametrize(
    ("text", "exits"),
    [
        ("callsheet: 1\n", 2),
        ("callsheet: 1\nprovider: qwencloud\ndefaults: {model: wan2.7-t2v}\nshots: [{id: s, prompt: A}]\n", 3),
    ],
)
def test_refusals_end_with_a_report_too(tmp_path, monkeypatch, capsys, text, exits):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    (tmp_path / "film.callsheet.yaml").write_text(text)
    assert code(["run", "--json", "--yes"]) == exits
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["error", "report"]
    assert events[-1]["exit_code"] == exits


def test_the_starter_manifest_is_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert code(["init"]) == 0
    assert code(["check", "--strict"]) == 0
    assert (tmp_path / "callsheet.schema.json").is_file()
    assert code(["init"]) == 2


@pytest.mark.parametrize(
    "args",
    [["models"], ["models", "wan2.7-i2v"], ["providers"], ["providers", "qwencloud"], ["schema", "lock"], ["schema", "wanx"]],
)
def test_the_catalogue_can_be_read(args, capsys):
    result = code(args)
    said = capsys.readouterr()
    assert (result, bool(said.out)) == ((2, False) if args[-1] == "wanx" else (0, True))
