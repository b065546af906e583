"""`--help` of every verb: what it shows is run as it stands in a real shell, and it fits a terminal of 80 columns."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

import runner
from runner.cli import VERBS, callsheet, code
from runner.lockfile import Ledger, held
from runner.studio import Faults, Settings, Studio
from tests.faults.world import tiny

ROOT = Path(__file__).parent.parent
COMMANDS = {verb: importlib.import_module(f"runner.commands.{verb}").command for verb in VERBS}
STORYBOARD = """\
callsheet: 1
title: Example
providers:
  studio: {{base_url: "{url}", poll: {{first: 0.02, every: 0.02, give_up: {patience}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, scene: harbour, prompt: A lighthouse at dusk, takes: 2}}
  - {{id: s020, scene: harbour, prompt: The keeper turns}}
"""
WORLDS = {"made": {}, "failed": {"faults": Faults.parse(["fail:*"])}, "under way": {"seconds": 1000.0}}


def examples(verb):
    """The lines to be typed, as they stand in the help."""
    blocks = (COMMANDS[verb].help or "").split("\b\n")[1:]
    lines = (line.strip() for block in blocks for line in block.split("\n\n")[0].splitlines())
    return [line for line in lines if re.match(r"(\w+=\S+ )*callsheet |export ", line)]


EXAMPLES = [(verb, line) for verb in VERBS if verb != "studio" for line in examples(verb)]
# What the help shows is for takes that failed or are under way; and where no example can end well.
NEEDS = {"again": "failed", "adopt": "failed", "cancel": "under way", "reconcile": "failed"}
ENDS = {
    ("adopt", 0): 3,  # the provider does not know that task
    ("adopt", 1): 3,
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """A film three times: all takes saved, all failed, all under way; each with the studio that it was rendered by."""
    base = tmp_path_factory.mktemp("help")
    made = {}
    studios = []
    for name, settings in WORLDS.items():
        studio = Studio(Settings(folder=base / f"{name} studio", render=tiny, **settings)).__enter__()
        studios.append(studio)
        folder = made[name] = base / name / "film"
        folder.mkdir(parents=True)
        path = folder / "film.callsheet.yaml"
        path.write_text(STORYBOARD.format(url=studio.base_url, patience=0.3 if name == "under way" else 60))
        assert code(["run", str(path)]) == {"made": 0, "failed": 1, "under way": 75}[name]
        for colleague in ("from-ana", "from-ben"):
            (folder.parent / colleague).mkdir()
        (folder / "found.txt").write_text("s010@1 cf7185ba-9489-477c\n")
        (folder / "prompts").mkdir()
    in_doubt(made["failed"] / "film.callsheet.yaml")
    git(made["made"])
    yield made
    for studio in studios:
        studio.__exit__(None, None, None)


def in_doubt(path):
    """A take of an earlier wording, of which it is not known whether its request arrived."""
    manifest = runner.read(path)
    files = runner.files_of(manifest)
    with held(files):
        ledger = Ledger(files, runner.known(manifest))
        told = {"fingerprint": "1:sha256:" + "0" * 64, "provider": "studio", "model": "wan2.7-t2v", "seconds": 2.0}
        ledger.note("intended", take="s020@7", attempt="0" * 16, request={"prompt": "He turns", "parameters": {}}, **told)
        ledger.close()


def git(folder):
    """Two commits, for what is compared with an earlier one."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    for words in (
        ["init", "-q"],
        ["add", "film.callsheet.yaml"],
        ["commit", "-qm", "1"],
        ["commit", "-qm", "2", "--allow-empty"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, env={**os.environ, **who})


def quickly(path, provider):
    """Only on loopback, where the examples have it, may a provider be asked so often."""
    text = path.read_text()
    path.write_text(text.replace("defaults:", f"  {provider}: {{poll: {{first: 0.02, every: 0.02}}}}\ndefaults:"))


@pytest.fixture
def shell(tmp_path):
    """Run a script in a folder by the shell, where `callsheet` is this checkout's; its exit code, what it said."""
    if not shutil.which("bash"):
        pytest.skip("no bash here")
    there = tmp_path / "bin"
    there.mkdir()
    (there / "callsheet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    (there / "callsheet").chmod(0o755)
    environ = {**os.environ, "PATH": f"{there}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "CI": "1"}

    def run(script, folder, **more):
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env={**environ, **more}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert "bug in callsheet" not in done.stderr
        return done

    return run


@pytest.mark.parametrize(("verb", "line"), EXAMPLES, ids=lambda value: re.sub(r"[^\w.-]+", "_", value)[:60])
def test_an_example_does_what_it_says(verb, line, worlds, shell, tmp_path):
    world = worlds[NEEDS.get(verb, "made")]
    shutil.copytree(world.parent, tmp_path / "work")
    folder = tmp_path / "work" / "film"
    quickly(folder / "film.callsheet.yaml", "qwencloud")
    with Studio(Settings(folder=tmp_path / "elsewhere", render=tiny)) as studio:
        done = shell(line, folder, QWENCLOUD_BASE_URL=studio.base_url, DASHSCOPE_API_KEY="any", NO_COLOR="1")
    end = ENDS.get((verb, examples(verb).index(line)), 0)
    assert done.returncode == end, done.stdout + done.stderr
    written = line.partition(" > ")[2]
    assert (folder / written).read_text() if written else done.stdout + done.stderr


@pytest.mark.parametrize("block", [0, 1], ids=["native", "apiyi"])
def test_the_studio_serves_as_its_examples_say(block, shell, tmp_path):
    """The first line in another terminal, then the others."""
    text = COMMANDS["studio"].help.split("\b\n")[1:][block]
    serve, first, then = (line.strip() for line in text.strip().split("\n\n")[0].splitlines())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shown = "8788" if "--port 8788" in serve else "8787"
    serve = serve.replace(f"--port {shown}", "").replace("--seconds 20", "--seconds 0.1") + f" --port {port}"
    film = tmp_path / "film.callsheet.yaml"
    film.write_text(STORYBOARD.format(url="http://127.0.0.1:9", patience=60).replace("wan2.7-t2v", "wan2.6-t2v"))
    quickly(film, "apiyi" if block else "qwencloud")
    first = first.replace(shown, str(port))
    script = f"{serve} > said & server=$!; until grep -q 'studio at' said; do sleep 0.05; done; {first}; {then}; code=$?; kill $server; exit $code"
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "renders/film/takes").glob("*.mp4"))) == 3


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_how_it_is_called(verb):
    assert examples(verb)
    assert all(f"callsheet {verb}" in line or line.startswith("export ") or verb == "studio" for line in examples(verb))
    assert (COMMANDS[verb].help or "").split("\n\n")[0].endswith(".")


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_a_terminal(verb):
    command = COMMANDS[verb] if verb else callsheet
    context = click.Context(command, info_name=f"callsheet {verb}".strip(), terminal_width=80, max_content_width=100)
    assert [line for line in command.get_help(context).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_does_in_a_sentence(verb):
    options = [one for one in COMMANDS[verb].params if isinstance(one, click.Option)]
    assert options[0].opts
    assert [one.opts for one in options if not re.fullmatch(r"[A-Z].*\.", one.help or "")] == []
    texts = {one.opts[-1]: one.help for one in options}
    assert texts["--json"] == "Say it as JSON on standard output, an error too."
    made = [one.make_metavar(click.Context(COMMANDS[verb])) for one in options if not one.is_flag]
    assert [name for name in made if "RANGE" in name or name in {"TEXT", "DIRECTORY", "PATH|"}] == []


def test_one_option_has_one_wording():
    """Options that several verbs have in common say the same everywhere, but where they are another thing."""
    own = {"--out", "--yes", "--all", "--open", "--from", "--none", "--state", "--seconds", "--in-flight"}
    own |= {"--env-file", "--manifest", "--check"}
    said = {}
    for verb in VERBS:
        for one in COMMANDS[verb].params:
            if isinstance(one, click.Option):
                said.setdefault(one.opts[-1], set()).add(one.help)
    assert {name: texts for name, texts in said.items() if len(texts) > 1 and name not in own} == {}
