"""What an editor knows of a manifest: the generated schema, held against `check`, and the real `yaml-language-server` with it.

The server is npm's: `CALLSHEET_YAMLLS` is the path of its binary where it is not on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

import runner
from runner import catalog, source
from runner.cli import code
from runner.errors import ManifestError
from runner.outputs import editor_schema

HERE = Path(__file__).parent
MANIFESTS = sorted([*(HERE.parent / "manifests").glob("*.yaml"), *HERE.glob("models/*.yaml")])
CASES = sorted(path.parent for path in HERE.glob("cases/*/code") if path.read_text().strip() == "0")
MODELS = {model.id: model for model in catalog.load().models.values()}
YAMLLS = os.environ.get("CALLSHEET_YAMLLS") or shutil.which("yaml-language-server")
MODELINE = "# yaml-language-server: $schema=callsheet.schema.json\n"
I2V = "callsheet: 1\nshots:\n  - id: s010\n    model: wan2.7-i2v\n"
T2V = "callsheet: 1\ndefaults:\n  model: wan2.7-t2v\n"
LINKS = {"image": "https://example.com/a.png", "video": "https://example.com/a.mp4", "audio": "https://example.com/a.mp3"}


@pytest.fixture(scope="module")
def schema():
    return editor_schema.schema(catalog.load())


@pytest.fixture(scope="module")
def judge(schema):
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def marked(judge, data):
    """The places, as pointers, that an editor marks."""
    return sorted("".join(f"/{part}" for part in error.absolute_path) for error in judge.iter_errors(data))


def plain(path):
    return json.loads(json.dumps(source.read(path).data))


# The schema alone


def test_the_file_is_the_schema_with_a_line_a_definition(schema):
    text = editor_schema.text(schema)
    assert json.loads(text) == schema
    assert text.count("\n") > len(schema["$defs"])


@pytest.mark.parametrize(
    "path", [*MANIFESTS, *(case / "film.callsheet.yaml" for case in CASES)], ids=lambda path: path.as_posix()[-40:]
)
def test_what_passes_check_passes_in_the_editor(judge, path):
    assert marked(judge, plain(path)) == []


def test_everything_that_is_offered_has_a_title_and_says_what_it_is(schema):
    offered = {name: rule for name, rule in schema["$defs"].items() if name.startswith(("parameter.", "role."))}
    offered |= {
        f"any {name}": rule for part in schema["$defs"]["any"]["properties"].values() for name, rule in part["properties"].items()
    }
    assert len(offered) > 100
    assert [name for name, rule in offered.items() if not (rule.get("title") and rule.get("description"))] == []


def shots_of(model):
    """Shots of a model in many wordings, right and wrong: each role and combination, each value at a parameter's edges."""
    media = [{}, *({role: _filled(rule)} for role, rule in model.roles.items())]
    rule = model.schema["properties"].get("media", {})
    media += [
        {role: _filled(model.roles[role]) for role in roles}
        for roles in (*rule.get("x-combinations", ()), rule.get("required", ()))
    ]
    needed = {
        name: _values(model.parameters[name])[0] for name in model.schema["properties"].get("parameters", {}).get("required", ())
    }
    texts = {"prompt": "A lighthouse"} if "prompt" in model.schema["properties"] else {}
    shots = [{**texts, "media": one, "parameters": dict(needed)} for one in media]
    whole = {**texts, "media": media[-1] or (media[1] if "media" in model.schema.get("required", ()) else {})}
    for name, rule in model.parameters.items():
        shots += [{**whole, "parameters": {**needed, name: value}} for value in (*_values(rule), "${n}", None)]
    if "size" in model.parameters:
        for tier in (*model.parameters["size"]["x-tiers"], "8K"):
            shots += [
                {**whole, "parameters": {**needed, "resolution": tier, "ratio": ratio}} for ratio in ("16:9", "1:1", "720*1280")
            ]
    shots += [{**whole, "parameters": {**needed, "fps": None}}, {**whole, "parameters": {**needed, "fps": 24}}]
    shots += [{**whole, "media": {**whole["media"], "link": None}, "negative_prompt": None, "parameters": dict(needed)}]
    shots += [{**whole, "negative_prompt": "text", "parameters": dict(needed)}]
    return [{"id": f"s{number}", **shot} for number, shot in enumerate(shots)]


def _filled(rule):
    if "x-items" in rule:
        kinds = [*rule["x-items"]]
        return [{kind: LINKS[kind]} for kind in kinds] if len(kinds) > 1 else [LINKS[kinds[0]]]
    return LINKS.get(rule["x-media"]["kind"], "https://example.com/a.pdf")


def _values(rule):
    """Right ones first, then wrong ones."""
    if "enum" in rule:
        return [*rule["enum"], "no such value", 7.5]
    if rule["type"] in {"integer", "number"}:
        return [
            rule["minimum"] + 2,
            rule["minimum"],
            rule.get("maximum", 9),
            rule["minimum"] - 1,
            rule.get("maximum", 9) + 1,
            "5",
            True,
        ]
    return {"boolean": [True, False, "true", 1], "string": ["flying", 7], "array": [["obj"], ["bg"], ["sky"], "obj"]}[
        rule["type"]
    ]


def faults(folder, data):
    """What `check` finds wrong, as pointers into the manifest."""
    path = folder / "film.callsheet.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        runner.read(path)
    except ManifestError as error:
        return {problem.path for problem in error.problems if problem.severity == "error"}
    return set()


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
@pytest.mark.parametrize("where", ["shot", "defaults"])
def test_the_editor_marks_nothing_that_check_passes_and_every_wrong_value(judge, tmp_path, model, where):
    shots = shots_of(model)
    over = {"defaults": {"model": model.id}} if where == "defaults" else {}
    own = {"model": model.id} if where == "shot" else {}
    data = {"callsheet": 1, "vars": {"n": 5}, **over, "shots": [{**shot, **own} for shot in shots]}
    wrong, seen = faults(tmp_path, data), marked(judge, data)
    broken = {path.split("/")[2] for path in wrong}
    assert 2 <= len(shots) - len(broken) < len(shots)
    assert [path for path in seen if path.split("/")[2] not in broken] == []
    values = {path for path in wrong if path.startswith("/shots/") and "/parameters/" in path and "${n}" not in _at(data, path)}
    assert {path for path in values if path not in seen and _alone(model, path, data)} == set()


def _at(data, path):
    for part in path.split("/")[1:]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    return str(data)


def _alone(model, path, data):
    """Whether a parameter's value is wrong whatever else the shot says."""
    name = path.split("/")[4]
    if name not in model.parameters:
        return name == "fps"
    rule = {key: value for key, value in model.parameters[name].items() if key not in {"contains", "minContains", "maxContains"}}
    shot = data["shots"][int(path.split("/")[2])]
    return not Draft7Validator(rule).is_valid(shot["parameters"][name])


def test_what_a_manifest_brings_itself_is_not_marked(judge):
    shot = {"id": "s010", "prompt": "A", "model": "my-model", "provider": "my-gateway", "parameters": {"grain": 3}}
    own = {"models": ["m.json"], "providers": {"my-gateway": {"extends": "qwencloud"}}}
    assert marked(judge, {"callsheet": 1, **own, "shots": [shot]}) == []
    assert marked(judge, {"callsheet": 1, "shots": [shot]}) == ["/shots/0/model", "/shots/0/provider"]
    assert (
        marked(
            judge,
            {
                "callsheet": 1,
                "models": ["m.json"],
                "defaults": {"model": "wan2.7-t2v"},
                "shots": [{**shot, "model": "wan2.7-i2w", "provider": "studio"}],
            },
        )
        == []
    )


def test_a_model_that_a_scene_or_profile_may_change_judges_no_shot(judge):
    shot = {"id": "s010", "prompt": "A", "scene": "a", "parameters": {"size": "1280*720"}}
    data = {"callsheet": 1, "defaults": {"model": "wan2.7-t2v"}, "scenes": {"a": None}, "shots": [shot]}
    assert marked(judge, data) == ["/shots/0/parameters/size"]
    for changing in ({"scenes": {"a": {"model": "wan2.6-t2v"}}}, {"profiles": {"p": {"model": "wan2.6-t2v"}}}):
        assert marked(judge, {**data, **changing}) == []


def test_an_included_file_needs_no_version_and_may_name_what_its_manifest_brings(judge, tmp_path):
    """`check` passes it by the manifest's own model and provider, which are not seen from where it lies."""
    shutil.copy(HERE / "cases" / "models-of-ones-own" / "mine.json", tmp_path)
    own = "models: [mine.json]\nproviders: {mine: {extends: qwencloud, models: [my-wan]}}\n"
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(f"callsheet: 1\n{own}include: [end.yaml]\nshots: [{{id: s010, model: wan2.7-t2v, prompt: A}}]\n")
    end = "defaults: {model: my-wan}\nscenes: {a: null}\nshots:\n  - {id: s900, prompt: A, provider: mine, parameters: {mood: calm}}\n"
    (tmp_path / "end.yaml").write_text(end)
    assert len(runner.read(path).shots) == 2
    assert marked(judge, plain(tmp_path / "end.yaml")) == []
    (tmp_path / "end.yaml").write_text(end.replace("{id: s900", "{id: s900, model: wan2.7-t2v").replace("mood: calm", "seed: no"))
    assert marked(judge, plain(tmp_path / "end.yaml")) == ["/shots/0/parameters/seed"]  # of a model that is known here


def test_what_only_a_manifest_has_asks_for_its_version(judge, schema):
    shots = [{"id": "s010", "prompt": "A", "model": "wan2.7-t2v"}]
    assert marked(judge, {"shots": shots}) == []
    assert marked(judge, {"vars": {"a": 1}, "defaults": {}, "scenes": {}, "shots": shots}) == []
    for name in ("title", "provider", "profiles", "include", "budget", "output", "models", "providers"):
        (error,) = [one for one in judge.iter_errors({name: None, "shots": shots}) if one.validator == "required"]
        assert error.message == "'callsheet' is a required property"
    assert marked(judge, {"callsheet": 1}) == [""]


def test_layers_may_say_what_only_some_models_take(judge):
    layer = {"model": "wan2.7-i2v", "parameters": {"ratio": "16:9", "resolution": "480P"}, "media": {"image": "a.png"}}
    shots = [{"id": "s010", "model": "wan2.2-s2v", "media": {"driving_audio": "a.mp3"}}]
    assert (
        marked(judge, {"callsheet": 1, "defaults": layer, "profiles": {"p": layer}, "scenes": {"s": layer}, "shots": shots}) == []
    )
    layer = {"parameters": {"resolution": "720p"}}
    assert marked(judge, {"callsheet": 1, "defaults": layer, "shots": shots}) == ["/defaults/parameters/resolution"]


# `init`


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_a_manifest_that_passes_and_runs(folder, capsys, judge, schema):
    assert code(["init", "film"]) == 0
    assert capsys.readouterr().err == "next: cd film && callsheet run\n"
    assert json.loads((folder / "film" / "callsheet.schema.json").read_text("utf-8")) == schema
    path = folder / "film" / "storyboard.callsheet.yaml"
    assert path.read_text("utf-8").startswith(MODELINE)
    assert marked(judge, plain(path)) == []
    os.chdir(folder / "film")
    assert code(["check", "--strict"]) == 0
    assert code(["run"]) == 0
    assert "renders in renders/storyboard" in capsys.readouterr().err
    assert len(list((folder / "film" / "renders").glob("**/takes/*.mp4"))) == 6


def test_what_the_starter_has_as_comments_is_right_too(folder, capsys):
    assert code(["init"]) == 0
    path = folder / "storyboard.callsheet.yaml"
    lines = path.read_text("utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  # - id:"))
    opened = [
        line.replace("# ", "", 1) if line.startswith(("  # - ", "  #   ", "# budget", "# include")) else line for line in lines
    ]
    assert len([line for line in opened if line.startswith(("  - id:", "budget:"))]) == 7
    assert at
    path.write_text("\n".join(opened), encoding="utf-8")
    (folder / "frames").mkdir()
    shutil.copy(HERE.parent / "manifests" / "frames" / "keeper.png", folder / "frames")
    (folder / "clips.csv").write_text("id,caption\n1,A gull\n2,A boat\n")
    (folder / "scenes").mkdir()
    (folder / "scenes" / "end.yaml").write_text("shots:\n  - {id: s900, scene: tower, prompt: The lamp goes out}\n")
    assert code(["check", "--strict"]) == 0, capsys.readouterr().out


def test_init_never_overwrites(folder, capsys):
    assert code(["init"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["callsheet.schema.json", "storyboard.callsheet.yaml"]
    capsys.readouterr()
    assert code(["init"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "callsheet: error: storyboard.callsheet.yaml is already there"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_init_keeps_a_schema_that_is_there_and_names_its_manifest_beside_another(folder, capsys):
    (folder / "callsheet.schema.json").write_text("{}")
    (folder / "film.callsheet.yaml").write_text("callsheet: 1\n")
    assert code(["init"]) == 0
    said = capsys.readouterr()
    assert (folder / "callsheet.schema.json").read_text() == "{}"
    assert "callsheet schema manifest > callsheet.schema.json" in said.err
    assert said.err.endswith("next: callsheet run storyboard.callsheet.yaml\n")
    assert said.out == "wrote storyboard.callsheet.yaml\n"


def test_init_says_its_files_as_json(folder, capsys):
    assert code(["init", "a film", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": ["a film/storyboard.callsheet.yaml", "a film/callsheet.schema.json"]}


def test_schema_manifest_is_what_init_writes(folder, capsys):
    assert code(["init"]) == 0
    capsys.readouterr()
    assert code(["schema", "manifest"]) == 0
    assert capsys.readouterr().out == (folder / "callsheet.schema.json").read_text("utf-8")


def test_the_schema_is_the_same_text_in_every_process(folder):
    """Else `init` takes the file that it wrote itself for that of another version."""

    def made(seed):
        env = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONHASHSEED": seed}
        words = [sys.executable, "-m", "runner", "schema", "manifest"]
        return subprocess.run(words, env=env, check=True, capture_output=True).stdout

    assert len({made(seed) for seed in "123"}) == 1


# The real language server


def _line(below):
    """The first line of a file that lies so far below the schema."""
    return MODELINE.replace("=", "=../") if below else MODELINE


class Editor:
    """An editor's end of the language server protocol, over the standard streams of the server."""

    WAIT = 60

    def __init__(self, folder):
        self.folder = folder
        self.server = subprocess.Popen(
            [YAMLLS, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self.news = threading.Condition()
        self.replies, self.told, self.asked, self.opened = {}, {}, 0, 0
        threading.Thread(target=self._listen, daemon=True).start()
        formats = {"completion": {"completionItem": {"snippetSupport": True}}, "hover": {"contentFormat": ["markdown"]}}
        able = {"workspace": {"configuration": True}, "textDocument": formats}
        self.ask("initialize", processId=os.getpid(), rootUri=folder.as_uri(), capabilities=able)
        self.tell("initialized")

    def close(self):
        self.server.kill()
        self.server.communicate()

    def _send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.server.stdin.flush()

    def tell(self, method, **params):
        self._send(method=method, params=params)

    def ask(self, method, **params):
        self.asked += 1
        self._send(id=self.asked, method=method, params=params)
        with self.news:
            assert self.news.wait_for(lambda: self.asked in self.replies, self.WAIT), f"no reply to {method}"
            return self.replies.pop(self.asked)

    def _listen(self):
        while head := self.server.stdout.readline():
            while line := self.server.stdout.readline().strip():
                head += line
            message = json.loads(self.server.stdout.read(int(head.split(b":")[1].split(b"\r")[0])))
            if "method" in message and "id" in message:
                self._send(id=message["id"], result=self._settings(message))
                continue
            with self.news:
                if message.get("method") == "textDocument/publishDiagnostics":
                    self.told[message["params"]["uri"]] = message["params"]["diagnostics"]
                elif "id" in message:
                    self.replies[message["id"]] = message.get("result", message.get("error"))
                self.news.notify_all()

    def _settings(self, message):
        """What the user has set: nothing, but that no schema is to be fetched from the network."""
        if message["method"] != "workspace/configuration":
            return None
        return [
            {"schemaStore": {"enable": False}} if item.get("section") == "yaml" else None for item in message["params"]["items"]
        ]

    def open(self, text, below=""):
        """The URI of a new file with this text, which may lie in a folder below, and the position of the `|` in it."""
        before, _, after = (_line(below) + text).partition("|")
        self.opened += 1
        uri = (self.folder / below / f"{self.opened}.callsheet.yaml").as_uri()
        file = {"uri": uri, "languageId": "yaml", "version": 1, "text": before + after}
        self.tell("textDocument/didOpen", textDocument=file)
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}

    def offers(self, text, below=""):
        """What is offered at the `|`, by label."""
        found = self.ask("textDocument/completion", **self.open(text, below))
        return {item["label"]: item for item in (found["items"] if isinstance(found, dict) else found)}

    def says(self, text):
        """What is shown when the mouse rests at the `|`."""
        return self.ask("textDocument/hover", **self.open(text))["contents"]["value"]

    def marks(self, text, below=""):
        """What is underlined: the words there, and why."""
        uri = self.open(text.replace("|", ""), below)["textDocument"]["uri"]
        with self.news:
            assert self.news.wait_for(lambda: uri in self.told, self.WAIT), "no diagnostics"
        lines = (_line(below) + text).splitlines()
        spots = [(one["range"]["start"], one["range"]["end"], one["message"]) for one in self.told[uri]]
        return [(lines[start["line"]][start["character"] : end["character"]], why) for start, end, why in spots]


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    if not YAMLLS:
        pytest.skip("yaml-language-server is not installed: npm install yaml-language-server, and CALLSHEET_YAMLLS=its binary")
    folder = tmp_path_factory.mktemp("editor")
    assert code(["init", str(folder)]) == 0
    editor = Editor(folder)
    yield editor
    editor.close()


def test_every_model_is_offered_with_what_it_is(editor):
    for text in ("callsheet: 1\nshots:\n  - id: s010\n    model: |\n", "callsheet: 1\ndefaults:\n  model: |\nshots: []\n"):
        offered = editor.offers(text)
        assert set(offered) == set(catalog.load().models)
        assert "Text to video with sound" in str(offered["wan2.7-t2v"]["documentation"])
        assert "Another name of wanx2.1-t2v-turbo" in str(offered["wan2.1-t2v-turbo"]["documentation"])


def test_the_roles_offered_are_those_of_the_shots_model(editor):
    offered = editor.offers(I2V + "    media:\n      |\n")
    assert set(offered) == {"first_frame", "last_frame", "driving_audio", "first_clip"}
    assert "at most 20.0 MB" in str(offered["first_frame"]["documentation"])
    assert set(editor.offers(I2V.replace("i2v", "r2v") + "    media:\n      |\n")) == {"first_frame", "references"}
    offered = editor.offers(I2V.replace("i2v", "r2v") + "    media:\n      references:\n        - |\n")
    assert set(offered) == {"image", "video", "voice"}


def test_the_parameters_offered_are_those_of_the_model(editor):
    own = "callsheet: 1\nshots:\n  - id: s010\n    model: wan2.7-t2v\n    parameters:\n      |\n"
    for text in (own, T2V + "  parameters:\n    |\nshots: []\n", T2V + "shots:\n  - id: s010\n    parameters:\n      |\n"):
        offered = editor.offers(text)
        assert list(offered) == ["resolution", "ratio", "duration", "prompt_extend", "watermark", "seed"]
        assert offered["duration"]["insertText"] == "duration: ${1:5}"
        assert "2 to 15; where absent 5" in str(offered["duration"]["documentation"])


def test_a_model_that_begins_like_another_is_not_taken_for_it(editor):
    assert "audio" not in editor.offers(I2V.replace("2.7", "2.6") + "    parameters:\n      |\n")
    assert "audio" in editor.offers(I2V.replace("wan2.7-i2v", "wan2.6-i2v-flash") + "    parameters:\n      |\n")


def test_an_included_file_in_a_folder_of_its_own(editor):
    """By the line that `init` and the README tell of; with the schema of the manifest's folder."""
    assert "$schema=../callsheet.schema.json" in (editor.folder / "storyboard.callsheet.yaml").read_text("utf-8")
    start = "shots:\n  - id: s900\n    model: wan2.7-i2v\n    parameters:\n      "
    assert "resolution" in editor.offers(start + "|\n", "scenes")
    assert editor.marks(start + "duration: 5\n", "scenes") == []
    ((word, why),) = editor.marks(start + "resolution: 720p\n", "scenes")
    assert (word, why[:21]) == ("720p", "Value is not accepted")
    assert [word for word, _ in editor.marks(start.replace("shots", "shot") + "duration: 5\n", "scenes")]
    ((_, why),) = editor.marks("title: T\n" + start + "duration: 5\n", "scenes")
    assert why == 'Missing property "callsheet".'


def test_the_profile_of_the_preview_is_offered(editor):
    offered = editor.offers("callsheet: 1\nprofiles:\n  |\nshots: []\n")
    assert "callsheet preview" in str(offered["preview"]["documentation"])
    assert set(editor.offers(T2V + "profiles:\n  preview:\n    parameters:\n      resolution: |\nshots: []\n")) >= {
        "480P",
        "720P",
    }


def test_values_are_those_of_the_model(editor):
    assert set(editor.offers(I2V + "    parameters:\n      resolution: |\n")) == {"720P", "1080P"}
    assert set(editor.offers(I2V + "    parameters: {resolution: |}\n")) == {"720P", "1080P"}
    assert set(editor.offers(I2V + "    parameters:\n      watermark: |\n")) == {"true", "false"}
    assert set(editor.offers(T2V + "  parameters:\n    resolution: |\nshots: []\n")) == {"720P", "1080P"}
    profile = "callsheet: 1\nprofiles:\n  draft:\n    model: wan2.2-s2v\n    parameters:\n      resolution: |\nshots: []\n"
    assert set(editor.offers(profile)) == {"480P", "720P"}
    assert set(editor.offers(profile.replace("profiles", "scenes"))) == {"480P", "720P"}


def test_where_the_model_is_not_known_all_is_offered(editor):
    scenes = T2V + "scenes:\n  a: {model: wan2.7-i2v}\nshots:\n  - id: s010\n    scene: a\n"
    assert {"resolution", "size", "mode", "shot_type"} <= set(editor.offers(scenes + "    parameters:\n      |\n"))
    assert {"first_frame", "driving_audio", "references", "image"} <= set(editor.offers(scenes + "    media:\n      |\n"))
    assert set(editor.offers(scenes + "    parameters:\n      resolution: |\n")) == {"480P", "720P", "1080P"}


def test_what_is_chosen_leaves_a_key_with_its_colon(editor):
    ends = "    model: {}\n    {}:\n      |\n"
    for model in MODELS.values():
        for part in ("media", "parameters"):
            for label, item in editor.offers("callsheet: 1\nshots:\n  - id: s010\n" + ends.format(model.id, part)).items():
                assert item["insertText"].startswith(f"{label}:"), (model.id, label, item["insertText"])
    assert "duration" in editor.offers(I2V + "    parameters: {d|}\n")
    for text in ("|\n", "callsheet: 1\nshots:\n  - id: s010\n    |\n"):
        for label, item in editor.offers(text).items():
            assert ":" in item["insertText"], (label, item["insertText"])
            assert "[object" not in label + item["insertText"]


def test_providers_and_their_regions_are_offered(editor):
    names = set(catalog.load().providers)
    assert set(editor.offers("callsheet: 1\nprovider: |\nshots: []\n")) == names
    assert names < set(editor.offers("callsheet: 1\nproviders:\n  |\nshots: []\n"))
    assert {"intl", "cn"} <= set(editor.offers("callsheet: 1\nproviders:\n  qwencloud:\n    region: |\nshots: []\n"))


def test_hovering_explains(editor):
    assert "first and last frame" in editor.says(I2V.replace("wan2.7-i2v", "wan2.|7-i2v"))
    assert "a first clip included. 2 to 15" in editor.says(I2V + "    parameters: {dura|tion: 5}\n")
    assert "first\\_frame \\+ last\\_frame" in editor.says(I2V + "    med|ia: {first_frame: a.png}\n")
    assert "Merged into the request last" in editor.says(I2V + "    unche|cked: {input: {a: 1}}\n")


@pytest.mark.parametrize(
    ("text", "word", "why"),
    [
        (I2V.replace("i2v", "i2w"), "wan2.7-i2w", "no such model; `callsheet models` lists them"),
        (I2V + "    promt: A\n", "promt", "Property promt is not allowed."),
        (I2V + "    parameters: {resolution: 720p}\n", "720p", 'Value is not accepted. Valid values: "720P", "1080P".'),
        (I2V + "    parameters: {resoluton: 720P}\n", "720P", "wan2.7-i2v has no such parameter; it has: resolution, duration, "),
        (I2V + "    parameters: {duration: 16}\n", "16", "Value is above the maximum of 15."),
        (I2V + "    media: {image: a.png}\n", "a.png", "wan2.7-i2v has no such media; it has: first_frame, last_frame, driving"),
        (T2V + "  parameters: {resolution: 4K}\nshots: [{id: s}]\n", "4K", "Value is not accepted. Valid values: "),
        (T2V + "  parameters: {sed: 4}\nshots: [{id: s}]\n", "sed: 4", "no model of the catalogue has this parameter"),
        (T2V + "provider: qwen\nshots: [{id: s}]\n", "qwen", "no such provider; `callsheet providers` lists them"),
    ],
)
def test_a_typo_is_marked_where_it_stands(editor, text, word, why):
    ((found, said),) = editor.marks(text)
    assert found == word
    assert said.startswith(why)


def only_typo(editor, text):
    """Whether a key that nobody knows is all that is marked: so the schema was there and has judged."""
    return editor.marks(f"{text}\nzoom: 1\n") == [("zoom", "Property zoom is not allowed.")]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_no_manifest_that_is_shown_has_a_mark(editor, path):
    text = path.read_text("utf-8").replace("# yaml-language-server: $schema=../schemas/manifest.schema.json\n", "")
    assert only_typo(editor, text)


def test_the_starter_has_no_mark(editor):
    assert only_typo(editor, (editor.folder / "storyboard.callsheet.yaml").read_text("utf-8").removeprefix(MODELINE))


def test_variables_and_nulls_stand_where_numbers_are_asked_for(editor):
    shot = '    parameters: {seed: "${seed}", duration: "${n}", resolution: null, watermark: "${w}"}\n    takes: 2\n'
    assert only_typo(editor, I2V + shot)
