"""`board`: a real film of the studio's, the real page, a real Chromium that shows it from a file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import anyio
import av
import pytest
from PIL import Image

import runner
from runner.cli import code
from runner.commands import opening
from runner.outputs.board import compare, page, posters

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = os.environ.get("CALLSHEET_AXE")
RED = (200, 40, 30)
HOSTILE = "<script>document.title='hacked'</script> \"><img src=x onerror=document.title='hacked'> &amp; {{ 7*7 }} </article>"
STORYBOARD = f"""\
callsheet: 1
title: "The Pier <script>document.title='hacked'</script>"
provider: studio
output: renders/${{manifest}}/${{shot}}.mp4
defaults: {{model: happyhorse-1.1-t2v, parameters: {{resolution: 480P, ratio: 16:9, duration: 3, watermark: false}}}}
shots:
  - {{id: s010, scene: dawn, prompt: A pier at dawn in a thin fog, takes: 2}}
  - {{id: s020, scene: dawn, model: happyhorse-1.1-i2v, prompt: Red, media: {{first_frame: "frames/red.png"}}, parameters: {{ratio: null}}}}
  - {{id: s030, scene: noon, prompt: The pier at noon, parameters: {{ratio: 9:16}}}}
  - {{id: s040, scene: dawn, prompt: {json.dumps(HOSTILE)}}}
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A folder, whose name is hard on URLs, with every take rendered."""
    folder = tmp_path_factory.mktemp("board") / "a film #1 50% ?"
    (folder / "frames").mkdir(parents=True)
    Image.new("RGB", (640, 360), RED).save(folder / "frames" / "red.png")
    (folder / "pier.callsheet.yaml").write_text(STORYBOARD, encoding="utf-8")
    manifest = runner.read(folder / "pier.callsheet.yaml")
    with runner.hold(manifest) as held:
        report = anyio.run(runner.run, runner.decide(manifest, held.lock), held)
    assert report.data["counts"] == {"saved": 5}
    return folder


class Film:
    """A copy of the rendered folder, of which the lock is changed as a test needs it."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.path, self.lock_path = folder / "pier.callsheet.yaml", folder / "pier.callsheet.lock"
        self.page = folder / "pier.board.html"

    def call(self, *args):
        self.capsys.readouterr()
        result = code(["board", "pier.callsheet.yaml", *args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def board(self, *args, name=None):
        assert self.call(*args) == 0, self.err
        return Seen((self.folder / name if name else self.page).read_text("utf-8"))

    def edit(self, *pairs):
        text = self.path.read_text("utf-8")
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        self.path.write_text(text, encoding="utf-8")

    def relock(self, change):
        lock = json.loads(self.lock_path.read_text("utf-8"))
        change(lock)
        self.lock_path.write_text(json.dumps(lock), encoding="utf-8")

    def git(self, *args):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(["git", *who, *args], cwd=self.folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def film(rendered, tmp_path, monkeypatch, capsys):
    folder = tmp_path / rendered.name
    shutil.copytree(rendered, folder, ignore=shutil.ignore_patterns(".callsheet", "*.html"))
    monkeypatch.chdir(folder)
    return Film(folder, capsys)


class Seen(HTMLParser):
    """A page's elements in order, each with its attributes and the text within."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, text):
        super().__init__()
        self.text, self.found, self.open = text, [], []
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.found.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attrs):
        return [
            one
            for one in self.found
            if one["tag"] == tag and all(value in (one.get(name) or "").split() for name, value in attrs.items())
        ]

    def card(self, shot):
        (found,) = [one for one in self.found if one.get("id") == f"shot-{shot}"]
        return re.sub(r"\s+", " ", found["text"])

    @property
    def shots(self):
        return [one["data-shot"] for one in self.all("article")]


# what stands on it


def test_every_shot_is_there_in_order_by_scene_with_its_takes(film):
    seen = film.board()
    assert seen.shots == ["s010", "s020", "s030", "s040"]
    assert [re.sub(r"\s+", " ", one["text"]).strip() for one in seen.all("h2")][:3] == [
        "dawn 2 shots",
        "noon 1 shot",
        "dawn 1 shot",
    ]
    assert [one["data-take"] for one in seen.all("li")] == ["s010@1", "s010@2"]
    assert "A pier at dawn in a thin fog" in seen.card("s010")
    for fact in ("happyhorse-1.1-t2v", "480P", "16:9", "renders/pier/s010.mp4", "free", "seed"):
        assert fact in seen.card("s010")
    seeds = [entry.seed for take, entry in runner.known(runner.read(film.path)).takes.items() if take.startswith("s010")]
    assert all(str(seed) in seen.card("s010") for seed in seeds)


def test_the_head_says_how_much_there_is_what_it_cost_and_what_a_run_would_do(film):
    def paid(lock):
        attempt = lock["takes"]["s010@1"]["attempts"][0]
        attempt |= {"account": "qwencloud:1a2b3c4d", "cost": {"amount": "0.30", "currency": "USD", "basis": "usage"}}
        attempt = lock["takes"]["s030@1"]["attempts"][0]
        attempt |= {"account": "qwencloud:1a2b3c4d", "cost": {"amount": "2.50", "currency": "CNY", "basis": "usage"}}

    film.relock(paid)
    film.edit(("The pier at noon", "The pier at one"))
    seen = film.board()
    totals = dict(list(zip([one["text"] for one in seen.all("dt")], [one["text"] for one in seen.all("dd")], strict=True))[:5])
    assert (totals["shots"], totals["takes"], totals["film"]) == ("4", "5", "9 s of 12 s")
    assert totals["cost"] == "2.50 CNY spent · 0.30 USD spent"
    assert totals["next run"] == "1 to submit (3 s of video, free), 4 saved"


def test_posters_are_small_and_have_the_renders_colours(film):
    seen = film.board()
    (image,) = [one for one in seen.all("img") if one["width"] == "480" and _mean(one)[0] > 150 and _mean(one)[2] < 60]
    picture = _picture(image)
    assert picture.size == (int(image["width"]), int(image["height"]))
    corner = picture.getpixel((240, 20))
    # Read by the rule of standard definition the red would be off by more than twenty.
    assert max(abs(a - b) for a, b in zip(corner, RED, strict=True)) <= 8, corner
    assert all(len(one["src"]) < 120_000 for one in seen.all("img"))
    tall = [one for one in seen.all("img") if int(one["height"]) > int(one["width"])]
    assert [(one["width"], one["height"]) for one in tall] == [("277", "480")]


def _picture(image):
    return Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])), formats=("JPEG",)).convert("RGB")


def _mean(image):
    return _picture(image).resize((1, 1)).getpixel((0, 0))


def test_posters_are_made_once(film, monkeypatch):
    film.board()
    assert len(list((film.folder / ".callsheet/posters").iterdir())) == 10
    assert (film.folder / ".callsheet/.gitignore").read_text() == "*\n"
    monkeypatch.setattr(posters, "_picture", lambda path: pytest.fail(f"{path} is read again"))
    film.board()


def test_a_damaged_poster_is_made_anew_and_an_unreadable_render_is_said(film):
    film.board()
    for path in (film.folder / ".callsheet/posters").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    take = film.folder / "renders/pier/takes/s030@1.mp4"
    take.write_bytes(b"\0" * take.stat().st_size)
    seen = film.board()
    assert "no picture can be read from this render" in seen.card("s030")
    assert len(seen.all("img")) == 5  # three large ones, two in the strip


def test_players_are_linked_relative_to_the_page_wherever_it_lies(film):
    for out in (None, "../elsewhere/my board.html"):
        target = film.folder / out if out else film.page
        seen = film.board(*(["--out", out] if out else []), name=out)
        links = [one["href"] for one in seen.all("a") if "data-take" in one]
        assert len(links) == 6
        for link in links:
            assert not link.startswith(("/", "file:"))
            assert (target.parent / unquote(link)).resolve().is_file(), link


def test_what_people_and_servers_wrote_is_text_and_nothing_else(film):
    def fail(lock):
        entry = lock["takes"]["s040@1"]
        del entry["render"]
        entry["state"] = "failed"
        error = {"code": "<b>Data</b>InspectionFailed", "message": HOSTILE, "retryable": False, "billed": False}
        entry["attempts"][0] |= {"error": error, "actual_prompt": HOSTILE}

    film.relock(fail)
    seen = film.board()
    assert len(seen.all("script")) == 1
    assert [one for one in seen.found if any(name.startswith("on") for name in one)] == []
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in seen.all("img"))
    assert seen.card("s040").count(HOSTILE) >= 3
    assert seen.all("h1")[0]["text"] == "The Pier <script>document.title='hacked'</script>"
    assert [one for one in seen.found if "style" in one] == [], "a style attribute would need a weaker policy"


def test_what_turns_a_text_around_or_cannot_be_seen_is_a_mark(film):
    """U+202E, an isolate, an escape sequence: in the title, a scene, a prompt, and in what a service wrote before it was cleaned."""
    film.edit(
        ("The Pier", "The \\u202ereiP \\e[2J"),
        ("A pier at dawn in a thin fog", "A pier \u202egpj.exe at\u2066 dawn"),
        ("scene: noon", 'scene: "\u202enoon"'),
    )
    film.relock(lambda lock: lock["takes"]["s030@1"]["attempts"][0].update(actual_prompt="of\u202ethe service"))
    seen = film.board()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", seen.text)
    assert seen.all("h1")[0]["text"].startswith("The ⟨U+202E⟩reiP ⟨U+001B⟩[2J")
    assert "A pier ⟨U+202E⟩gpj.exe at⟨U+2066⟩ dawn" in seen.card("s010")
    assert "of⟨U+202E⟩the service" in seen.card("s030")
    assert [one["text"] for one in seen.all("bdi")].count("⟨U+202E⟩noon") == 1, "it cannot touch the words beside it"


def test_states_are_said_in_words_with_their_reasons(film):
    def change(lock):
        takes = lock["takes"]
        failed, doubtful = takes["s030@1"], takes["s040@1"]
        del failed["render"], doubtful["render"]
        error = {
            "code": "DataInspectionFailed",
            "message": "Output data may be inappropriate.",
            "retryable": False,
            "billed": False,
        }
        failed["state"], failed["attempts"][0]["error"] = "failed", error
        doubtful["state"] = "intended"
        del doubtful["attempts"][0]["task_id"]
        takes["old@1"] = {**takes["s010@2"], "attempts": []}
        lock["picked"] = {"s010": "s010@1"}

    film.relock(change)
    (film.folder / "renders/pier/takes/s020@1.mp4").unlink()
    film.edit(("prompt: A pier at dawn in a thin fog", "prompt: A pier at dawn"))
    seen = film.board()
    assert "needs your answer" in seen.card("s030")
    assert "moderation" in seen.card("s030")
    assert "DataInspectionFailed: Output data may be inappropriate." in seen.card("s030")
    assert "in doubt" in seen.card("s040")
    assert "it may have been paid for" in seen.card("s040")
    assert "first frame (saved, but not here)" in seen.card("s020")
    assert "s010@1 saved picked outdated" in seen.card("s010")
    assert "s010@3, s010@4 changed: prompt; free" in seen.card("s010")
    assert "prompt thenA pier at dawn in a thin fog" in seen.card("s010")
    assert seen.shots[-1] == "old"
    assert "orphaned" in seen.card("old")
    assert [one["value"] for one in seen.all("input") if one.get("type") == "checkbox"] == ["s010@2"], (
        "old@1 has no shot, s010@1 is picked"
    )


def test_a_renamed_shot_shows_the_takes_that_it_will_take_over(film):
    film.edit(("id: s030", "id: s035"))
    seen = film.board()
    assert seen.shots == ["s010", "s020", "s035", "s040"]
    assert "s030@1 the next run takes it over: was s030@1" in seen.card("s035")


def test_it_works_while_a_run_is_alive_and_says_so(film):
    with runner.hold(runner.read(film.path)):
        film.relock(lambda lock: lock.update(run={"id": "r", "host": "elsewhere", "since": "2026-11-21T08:00:00Z"}))
        seen = film.board()
    assert "on elsewhere, since 2026-11-21T08:00:00Z" in seen.all("p", **{"class": "notice"})[0]["text"]


def test_it_works_before_anything_is_rendered(film):
    shutil.rmtree(film.folder / "renders")
    film.lock_path.unlink()
    seen = film.board()
    assert "not rendered yet" in seen.card("s010")
    assert "first frame (not rendered yet)" in seen.card("s020")


# the command


def test_it_is_opened_in_the_browser_that_somebody_sits_before(film, tmp_path, monkeypatch):
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {shlex.quote(str(told))}\n')
    browser.chmod(0o755)
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)

    def opened(*args):
        """Asked of a process of its own: what browsers there are is looked up once."""
        told.write_text("")
        command = [sys.executable, "-m", "runner", *args, "--open"]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run(command, capture_output=True, text=True, env=env)  # noqa: PLW1510 - told below
        assert done.returncode == 0, done.stderr
        return told.read_text().split(), done.stderr

    if sys.platform.startswith("linux"):
        assert opened("board") == ([], "not opened: there is no display here\n")
    monkeypatch.setenv("BROWSER", str(browser))
    assert opened("board")[0] == [film.page.as_uri()]
    assert opened("reel", "--only", "s010")[0] == [(film.folder / "pier.reel.mp4").as_uri()]
    assert opened("preview")[0] == [(film.folder / "pier.preview.board.html").as_uri()]
    assert 'data-shot="s040"' in (film.folder / "pier.preview.board.html").read_text("utf-8")
    monkeypatch.setenv("CI", "true")
    assert opened("board") == ([], "not opened: CI is set, so nobody is looking\n")


def test_a_display_is_asked_for_where_there_may_be_none():
    assert opening.withheld({"DISPLAY": ":0"}, "linux") is None
    assert opening.withheld({"WAYLAND_DISPLAY": "wayland-0"}, "linux") is None
    assert opening.withheld({"CI": "false"}, "darwin") is None
    assert opening.withheld({}, "win32") is None
    assert opening.withheld({"DISPLAY": ""}, "linux") == "there is no display here"
    assert opening.withheld({"CI": "1", "DISPLAY": ":0"}, "linux") == "CI is set, so nobody is looking"


def test_json_says_where_it_is_and_how_much(film):
    assert film.call("--json") == 0
    assert json.loads(film.out) == {"path": "pier.board.html", "shots": 4, "takes": 5, "bytes": film.page.stat().st_size}
    assert film.call() == 0
    assert film.out == "pier.board.html\n"


@pytest.mark.parametrize(
    ("words", "shots"),
    [
        (["--only", "s0[12]0"], ["s010", "s020"]),
        (["--skip", "s010", "--scene", "dawn"], ["s020", "s040"]),
        (["--state", "failed"], None),
        (["--only", "s010@2"], ["s010"]),
        (["--scene", "midnight"], None),
    ],
)
def test_it_shows_what_is_selected(film, words, shots):
    if shots is None:
        assert film.call(*words) == 2
        said = "no shot is selected" if words[0] == "--state" else 'there is no scene "midnight"'
        assert f"callsheet: error: {said}" in film.err
        assert not film.page.exists()
    else:
        assert film.board(*words).shots == shots


def test_limit_counts_what_is_still_to_be_submitted(film):
    film.edit(("takes: 2", "takes: 4"))
    assert "s010@4" in film.board().card("s010")
    card = film.board("--limit", "1").card("s010")
    assert "s010@3" in card
    assert "s010@4" not in card


def test_a_profile_has_a_board_of_its_own(film):
    film.path.write_text(film.path.read_text("utf-8") + "profiles: {draft: {takes: 1}}\n", encoding="utf-8")
    seen = film.board("--profile", "draft", name="pier.draft.board.html")
    assert "profile draft" in seen.all("p", **{"class": "under"})[0]["text"]
    assert 'data-after=" --profile draft"' in seen.text


def test_a_file_that_is_no_board_is_never_overwritten(film):
    film.page.write_text("<!doctype html>\n<p>my own notes, a callsheet board</p>\n")
    assert film.call() == 2
    assert "is in the way: it is no board of callsheet's" in film.err
    assert "my own notes" in film.page.read_text()
    film.page.unlink()
    film.board()
    film.board("--only", "s010")  # ours is


def test_a_page_that_cannot_be_finished_leaves_the_old_one(film):
    before = film.board().text
    values = {"target": film.page, "made": "2026-11-21T08:00:00Z", "pick": ("", ""), "posters": {}}
    with pytest.raises(Exception, match="sheet"):
        page.write("board.html", page.Page(**values), tags={})
    assert film.page.read_text("utf-8") == before
    assert [path.name for path in film.folder.iterdir() if path.name.endswith(".part")] == []


def test_a_broken_manifest_is_told_as_everywhere(film):
    film.edit(("duration: 3", "duration: 300"))
    assert film.call() == 2
    assert "duration 300 is too large" in film.err


# what a change changed


@pytest.fixture
def kept(film):
    """The film in git, its renders not, and a storyboard that has moved on since."""
    (film.folder / ".gitignore").write_text("renders/\n")
    film.git("init", "-q")
    film.git("add", "-A")
    film.git("commit", "-qm", "First <b>cut</b>")
    film.edit(
        ("in a thin fog", "in a thick fog"),
        ("id: s030", "id: s031"),
        ("  - {id: s040", "  - {id: s035, prompt: A gull}\n  - {id: s040"),
    )
    Image.new("RGB", (640, 360), "navy").save(film.folder / "frames" / "red.png")
    return film


def against(film, *args):
    return film.board("--against", "HEAD", *args, name="pier.changes.board.html")


def test_changes_are_shown_side_by_side_and_the_rest_folded_away(kept):
    seen = against(kept)
    assert seen.shots == ["s010", "s020", "s031", "s035"]
    assert [one["text"] for one in seen.all("del")] == [
        "thin",
        f"frames/red.png ({_sha(kept, 'HEAD:frames/red.png')})",
    ]
    assert seen.all("ins")[0]["text"] == "thick"
    assert "was s030" in seen.card("s031")
    assert "new" in seen.card("s035")
    assert "1 unchanged" in seen.all("details")[0]["text"]
    assert "s040" in seen.all("details")[0]["text"]
    assert "(First <b>cut</b>," in seen.all("p", **{"class": "under"})[0]["text"]
    # The picture as it was and as it is, and the take that was made from the wording of then.
    small = [_mean(one) for one in seen.all("img") if one["alt"].startswith("first frame ")]
    assert [red > 150 for red, _, _ in small] == [True, False]
    assert [one["data-take"] for one in seen.all("a", **{"class": "play"})] == ["s010@2", "s020@1", "s030@1", "s030@1"]


def _sha(film, what):
    data = subprocess.run(["git", "show", what], cwd=film.folder, check=True, capture_output=True).stdout
    return hashlib.sha256(data).hexdigest()[:8]


def test_what_is_gone_stands_where_it_was_and_the_json_says_all(kept):
    kept.edit(
        (
            '  - {id: s020, scene: dawn, model: happyhorse-1.1-i2v, prompt: Red, media: {first_frame: "frames/red.png"}, parameters: {ratio: null}}\n',
            "",
        )
    )
    assert against(kept).shots == ["s010", "s020", "s031", "s035"]
    assert kept.call("--against", "HEAD", "--json") == 0
    said = json.loads(kept.out)
    assert {name: said[name] for name in compare.KINDS} == {
        "changed": ["s010"], "new": ["s035"], "gone": ["s020"], "renamed": ["s031"], "moved": [], "follows": [],
    }  # fmt: skip
    assert said["path"] == "pier.changes.board.html"


def test_the_work_tree_and_the_index_are_left_alone(kept):
    def state():
        files = [path for path in kept.folder.rglob("*") if path.is_file() and ".callsheet" not in path.parts]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files if path.suffix != ".html"}

    os.utime(kept.folder / ".gitignore", (1, 1))  # by its time it could be another: git would like to note that it is not
    before = state()
    against(kept)
    assert state() == before


def test_media_that_git_does_not_keep_is_as_it_lies_here(film):
    (film.folder / ".gitignore").write_text("renders/\nframes/\n")
    film.git("init", "-q")
    film.git("add", "-A")
    film.git("commit", "-qm", "text alone")
    film.edit(("A pier at dawn", "The pier at dawn"))
    assert against(film).shots == ["s010"]


def test_media_kept_by_git_lfs_comes_out_of_this_clones_store(film):
    picture = (film.folder / "frames" / "red.png").read_bytes()
    oid = hashlib.sha256(picture).hexdigest()
    film.git("init", "-q")
    store = film.folder / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4]
    store.mkdir(parents=True)
    (store / oid).write_bytes(picture)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(picture)}\n"
    (film.folder / "frames" / "red.png").write_text(pointer)
    film.git("add", "frames", "pier.callsheet.yaml")
    film.git("commit", "-qm", "large files")
    (film.folder / "frames" / "red.png").write_bytes(picture)
    film.edit(("A pier at dawn", "The pier at dawn"))
    assert against(film).shots == ["s010"]


def test_a_manifest_in_a_folder_of_the_repository(kept, tmp_path, monkeypatch):
    outer = tmp_path / "outer"
    shutil.move(kept.folder, outer / "films" / "pier")
    shutil.rmtree(outer / "films" / "pier" / ".git")
    monkeypatch.chdir(outer / "films" / "pier")
    film = Film(outer / "films" / "pier", kept.capsys)
    film.git("init", "-q", str(outer))
    film.git("add", "-A")
    film.git("commit", "-qm", "all")
    film.edit(("A gull", "A tern"))
    monkeypatch.setenv("GIT_DIR", "nowhere")  # as in a hook
    assert against(film).shots == ["s035"]


def test_shots_that_were_moved_are_the_fewest_that_explain_it():
    then = list("abcdefgh")
    assert compare._moved(list("abgcdefh"), then) == {"g"}
    assert compare._moved(list("habcdefg"), then) == {"h"}
    assert len(compare._moved(list("hgfedcba"), then)) == 7
    assert compare._moved([], then) == set()


def test_what_is_linked_to_a_changed_shot_follows_from_it(kept):
    kept.path.write_text(
        "callsheet: 1\ndefaults: {model: happyhorse-1.1-i2v, parameters: {resolution: 480P, duration: 3}}\nshots:\n"
        "  - {id: first, model: happyhorse-1.1-t2v, prompt: A pier}\n"
        "  - {id: third, prompt: She goes, media: {first_frame: {shot: second, frame: last}}}\n"
        "  - {id: second, prompt: She turns, media: {first_frame: {shot: first, frame: last}}}\n"
        "  - {id: other, model: happyhorse-1.1-t2v, prompt: A gull}\n"
    )
    kept.git("commit", "-qam", "a chain")
    kept.edit(("A pier", "A long pier"))
    seen = against(kept)
    assert seen.shots == ["first", "third", "second"]
    assert "follows second" in seen.card("third").replace("  ", " ")
    assert seen.all("details")[0]["text"].split() == ["1", "unchanged", "other"]


def test_what_is_gone_behind_a_renamed_shot_stays_there():
    assert compare._order(["a", "c2", "d"], ["a", "b", "c", "x", "d"], {"a": "a", "c": "c2", "d": "d"}) == [
        "a",
        "b",
        "c2",
        "x",
        "d",
    ]


@pytest.mark.parametrize("name", ["nowhere", "--output=made", "--since=yesterday", "HEAD:pier.callsheet.yaml", ""])
def test_a_revision_that_is_not_there_is_said(kept, name):
    assert kept.call(f"--against={name}") == 2
    assert f'there is no revision "{name}"' in kept.err
    assert not (kept.folder / "made").exists()


def test_what_cannot_be_compared_is_said_with_the_reason(film, monkeypatch):
    assert film.call("--against", "HEAD") == 2
    assert "is in no git repository" in film.err
    film.git("init", "-q")
    film.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert film.call("--against", "HEAD") == 2
    assert "pier.callsheet.yaml was not there at" in film.err
    film.path.write_text(STORYBOARD.replace("480P", "481P"), encoding="utf-8")
    film.git("add", "-A")
    film.git("commit", "-qm", "broken")
    film.path.write_text(STORYBOARD, encoding="utf-8")
    assert film.call("--against", "HEAD") == 2
    assert "callsheet: error: the manifest at HEAD has errors: pier.callsheet.yaml:5:" in film.err
    monkeypatch.setenv("PATH", str(film.folder))
    assert film.call("--against", "HEAD") == 2
    assert "git, which is not on the PATH" in film.err


def test_a_link_in_the_repository_leads_nowhere_else(kept, tmp_path):
    """A revision is somebody's data: a link in it is no way to a file outside."""
    secret = tmp_path / "secret.txt"
    secret.write_text("nobody's business")
    (kept.folder / "prompt.txt").symlink_to(secret)
    before = kept.path.read_text("utf-8")
    kept.edit(("prompt: The pier at noon", "prompt: {file: prompt.txt}"))
    kept.git("add", "-A")
    kept.git("commit", "-qm", "a link")
    (kept.folder / "prompt.txt").unlink()
    kept.path.write_text(before, encoding="utf-8")
    assert kept.call("--against", "HEAD") == 2
    assert "lies outside" in kept.err
    assert not (kept.folder / "pier.changes.board.html").exists()


# in a browser


@pytest.fixture(scope="module")
def chromium(rendered):  # after the film: Playwright's loop and a run's do not share a thread
    if not CHROMIUM:
        pytest.skip("needs Chromium on the PATH")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """`tab(path)` opens a page from its file; what it asks for and complains of is kept, and must be nothing."""
    contexts = []

    def opened(path, **how):
        context = chromium.new_context(**how)
        contexts.append(context)
        made = context.new_page()
        made.set_default_timeout(10_000)
        made.asked, made.complaints = [], []
        made.on("request", lambda request: made.asked.append(request.url.partition(",")[0]))
        made.on("requestfailed", lambda request: request.failure == "csp" and made.asked.remove(request.url))  # never left
        made.on("console", lambda message: made.complaints.append(message.text))
        made.on("pageerror", lambda error: made.complaints.append(str(error)))
        made.goto(path.as_uri())
        return made

    yield opened
    for context in contexts:
        for made in context.pages:
            assert made.complaints == []
            assert [url for url in made.asked if not url.startswith(("file:", "data:"))] == []
        context.close()


def until(tab, said):
    """Wait until an expression holds; the page's policy forbids Playwright's own way, which evaluates texts in the page."""
    end = time.monotonic() + 10
    while not (found := tab.evaluate(said)):
        assert time.monotonic() < end, said
        tab.wait_for_timeout(20)
    return found


def playing(tab, selector):
    """Wait until a video moves; how wide it is."""
    video = f"document.querySelector({json.dumps(selector)})"
    return until(tab, f"{video}?.currentTime > 0 && {video}.videoWidth")


def test_a_glance_plays_a_take_and_a_click_plays_it_with_sound(film, tab):
    film.board()
    seen = tab(film.page)
    assert seen.title() == "The Pier <script>document.title='hacked'</script> · board"
    seen.hover("#shot-s010 .play")
    with av.open(str(film.folder / "renders/pier/takes/s010@1.mp4")) as render:
        assert playing(seen, "#shot-s010 video") == render.streams.video[0].width
    seen.hover("h1")
    seen.wait_for_selector("#shot-s010 video", state="detached")
    seen.click("#shot-s010 li[data-take='s010@1'] a")
    playing(seen, "#shot-s010 video[controls]")
    assert "s010%401.mp4" in seen.get_attribute("#shot-s010 video", "src")
    assert not seen.evaluate("document.querySelector('#shot-s010 video').muted")
    seen.keyboard.press("Escape")
    seen.wait_for_selector("#shot-s010 video", state="detached")


def test_nothing_moves_by_itself_where_that_is_not_wanted(film, tab):
    film.board()
    seen = tab(film.page, reduced_motion="reduce")
    seen.hover("#shot-s010 .play")
    seen.wait_for_timeout(400)  # longer than a glance takes to begin
    assert seen.query_selector("video") is None


def test_ticked_takes_make_the_line_that_picks_them(film, tab):
    film.board()
    seen = tab(film.page, permissions=["clipboard-read", "clipboard-write"])
    assert not seen.is_visible("#bar")
    seen.check("input[value='s010@1']")
    seen.check("input[value='s010@2']")
    assert not seen.is_checked("input[value='s010@1']"), "a shot has one pick"
    assert seen.inner_text("#line") == "callsheet pick pier.callsheet.yaml s010@2"
    seen.check("input[value='s010@1']")
    seen.click("#copy")
    seen.wait_for_selector("#copied:not(:empty)")
    line = seen.evaluate("navigator.clipboard.readText()")
    assert line == "callsheet pick pier.callsheet.yaml s010@1"
    seen.click("#clear")
    assert not seen.is_visible("#bar")
    assert code(shlex.split(line)[1:]) == 0
    assert "s010@1 saved picked" in film.board().card("s010")


def test_search_and_filter_narrow_it(film, tab):
    film.relock(lambda lock: lock.update(picked={"s010": "s010@2"}))
    film.board()
    seen = tab(film.page)
    visible = "els => els.filter(e => e.checkVisibility()).map(e => e.dataset.shot)"
    seen.fill("#search", "pier NOON")
    assert seen.eval_on_selector_all("article", visible) == ["s030"]
    assert seen.inner_text("#count") == "1 of 4 shots"
    assert seen.eval_on_selector_all(".scene", "els => els.filter(e => e.checkVisibility()).length") == 1
    seen.fill("#search", "no such words")
    assert seen.is_visible("#none")
    seen.fill("#search", "")
    seen.select_option("#filter", "picked")
    assert seen.eval_on_selector_all("article", visible) == ["s010"]


def test_it_is_worked_by_keys_alone(film, tab):
    film.board()
    seen = tab(film.page)
    here = "document.activeElement.id"
    seen.keyboard.press("j")
    assert seen.evaluate(here) == "shot-s010"
    seen.keyboard.press("j")
    seen.keyboard.press("j")
    seen.keyboard.press("k")
    assert seen.evaluate(here) == "shot-s020"
    seen.keyboard.press("k")
    for _ in range(3):
        seen.keyboard.press("ArrowRight")
    assert seen.evaluate("document.activeElement.dataset.take") == "s010@2"
    seen.keyboard.press("p")
    assert seen.inner_text("#line").endswith(" s010@2")
    seen.keyboard.press("ArrowLeft")
    seen.keyboard.press("p")
    assert seen.inner_text("#line").endswith(" s010@1")
    seen.keyboard.press("/")
    assert seen.evaluate(here) == "search"
    seen.keyboard.type("jk/p")
    assert seen.input_value("#search") == "jk/p"
    seen.keyboard.press("Escape")
    assert seen.input_value("#search") == ""
    seen.keyboard.press("j")
    seen.keyboard.press("Enter")
    seen.wait_for_selector("dialog[open] video >> nth=1")
    assert seen.eval_on_selector_all("dialog figure", "els => els.map(e => e.dataset.take)") == ["s010@1", "s010@2"]
    assert playing(seen, "dialog video") > 0
    seen.keyboard.press(" ")
    until(seen, "[...document.querySelectorAll('dialog video')].every(v => v.paused)")
    seen.keyboard.press("ArrowRight")
    seen.keyboard.press("p")
    assert seen.inner_text("#line").endswith(" s010@2")
    seen.keyboard.press("j")
    assert seen.inner_text("#stage-name") == "s020"
    seen.keyboard.press("Escape")
    until(seen, "document.activeElement.id === 'shot-s020'")


def test_dark_and_light_follow_the_machine_until_somebody_says_otherwise(film, tab):
    film.board()
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (tab(film.page, color_scheme=scheme) for scheme in ("light", "dark"))
    assert light.evaluate(paper) != dark.evaluate(paper)
    before = light.evaluate(paper)
    light.click("#theme")
    assert light.evaluate(paper) == dark.evaluate(paper)
    light.reload()
    assert light.evaluate(paper) == dark.evaluate(paper), "it is remembered"
    dark.click("#theme")
    assert dark.evaluate(paper) == before


def test_prompts_are_read_from_the_side_that_they_are_written_from(film, tab):
    film.edit(("A pier at dawn in a thin fog", '"مشهد واسع: منارة (16:9)"'), ("The pier at noon", "The pier (نهار)"))
    film.board()
    seen = tab(film.page)
    way = "e => [getComputedStyle(e).direction, getComputedStyle(e).unicodeBidi]"
    assert seen.eval_on_selector("#shot-s010 .prompt", way) == ["rtl", "isolate"]
    assert seen.eval_on_selector("#shot-s030 .prompt", way) == ["ltr", "isolate"]
    assert seen.evaluate("getComputedStyle(document.querySelector('#shot-s010')).direction") == "ltr"


def test_what_is_written_on_it_never_runs_and_no_other_script_would(film, tab):
    film.board()
    seen = tab(film.page)
    assert HOSTILE in seen.inner_text("#shot-s040 .prompt")
    seen.keyboard.press("j")
    seen.focus("#shot-s040")
    seen.keyboard.press("Enter")
    seen.wait_for_selector("dialog[open] video")
    assert HOSTILE in seen.inner_text("dialog .prompt")
    assert "hacked" not in seen.title().replace("document.title='hacked'", "")
    seen.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'hacked'";
        document.body.append(script);
        const image = document.createElement("img");
        image.src = "https://example.org/x.png";
        document.body.append(image);
    }""")
    assert "hacked" not in seen.title().replace("document.title='hacked'", "")
    assert len(seen.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in seen.complaints)
    assert not any(url.startswith("https:") for url in seen.asked)
    seen.complaints.clear()


def test_embedded_it_is_one_file_that_plays_anywhere(film, tab, tmp_path):
    film.board("--embed")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.move(film.page, alone / "sent.html")
    shutil.rmtree(film.folder / "renders")
    seen = tab(alone / "sent.html")
    seen.click("#shot-s010 .play")
    assert playing(seen, "#shot-s010 video") > 0


def test_a_render_that_has_moved_since_is_said(film, tab):
    film.board()
    shutil.rmtree(film.folder / "renders")
    seen = tab(film.page)
    seen.click("#shot-s010 .play")
    seen.wait_for_selector("#shot-s010 .what.now")
    assert seen.inner_text("#shot-s010 .what.now") == "s010@2 cannot be played: has its file moved?"
    seen.complaints.clear()  # the browser's own word on the missing file


def test_without_scripts_everything_can_be_read(film, tab):
    film.board()
    seen = tab(film.page, java_script_enabled=False)
    assert not seen.is_visible(".tools")
    assert not seen.is_visible(".tick")
    assert seen.is_visible("#shot-s040 .prompt")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_anybodys_way(kept, tab, scheme):
    """axe-core's serious and critical findings, on the board, with a shot open and large, and on the page of changes."""
    if not AXE:
        pytest.skip("needs CALLSHEET_AXE, the path of axe.min.js (npm pack axe-core)")
    axe = Path(AXE).read_text("utf-8")
    kept.relock(lambda lock: lock.update(picked={"s010": "s010@2"}))
    kept.board()
    against(kept)
    for name in ("pier.board.html", "pier.changes.board.html"):
        seen = tab(kept.folder / name, color_scheme=scheme)
        assert findings(seen, axe) == []
        if name == "pier.board.html":
            seen.click("#shot-s010 summary")
            seen.check("input[value='s010@1']")
            assert findings(seen, axe) == []
            seen.focus("#shot-s010")
            seen.keyboard.press("Enter")
            seen.wait_for_selector("dialog[open] video")
            assert findings(seen, axe) == []


def findings(seen, axe):
    seen.evaluate(axe)
    found = seen.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 15
    serious = [one for one in found["violations"] if one["impact"] in {"serious", "critical"}]
    return [(one["id"], node["target"], node["failureSummary"]) for one in serious for node in one["nodes"]]


def many(film, shots):
    """So many shots of two takes, all of them links to one render, under names of their own."""
    lock = json.loads(film.lock_path.read_text("utf-8"))
    entries = [lock["takes"][f"s010@{number}"] for number in (1, 2)]
    lines = STORYBOARD.partition("shots:\n")[0] + "shots:\n"
    takes = {}
    for shot in range(shots):
        lines += f"  - {{id: m{shot:03}, scene: scene {shot // 20}, prompt: A pier at dawn in a thin fog, takes: 2}}\n"
        for number, entry in enumerate(entries, 1):
            path = f"renders/pier/takes/m{shot:03}@{number}.mp4"
            os.link(film.folder / entry["render"]["path"], film.folder / path)
            takes[f"m{shot:03}@{number}"] = {**entry, "render": {**entry["render"], "path": path}}
    film.path.write_text(lines, encoding="utf-8")
    film.lock_path.write_text(json.dumps({**lock, "takes": takes}), encoding="utf-8")


def test_five_hundred_shots_are_made_and_read_quickly(film, tab):
    many(film, 500)
    begun = time.process_time()
    assert film.call() == 0
    made = time.process_time() - begun  # of this process alone: a busy machine is no fault of the board's
    assert made < 8  # some 0.6 s
    assert film.page.stat().st_size < 500 * 80_000
    seen = tab(film.page)
    seen.fill("#search", "m499")
    until(seen, "document.querySelector('#count').textContent === '1 of 500 shots'")
    assert seen.is_visible("#shot-m499")
    assert seen.eval_on_selector_all(".scenes a", "els => els.filter(e => e.checkVisibility()).length") == 1
    seen.fill("#search", "")
    for scene in (18, 3, 25):  # cards that were never in sight have a guessed height
        seen.click(f".scenes a >> nth={scene - 1}")
        until(seen, f"document.activeElement.id === 'shot-m{20 * (scene - 1):03}'")
        until(seen, f"Math.abs(document.querySelector('#scene-{scene}').getBoundingClientRect().top - 60) < 3")
    seen.keyboard.press("j")
    until(seen, "document.activeElement.id === 'shot-m481'")


def test_a_printed_page_has_a_sensible_number_of_shots(film, tab, tmp_path):
    many(film, 36)
    film.board()
    seen = tab(film.page)
    target = tmp_path / "board.pdf"
    seen.pdf(path=target, format="A4", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert 3 <= pages <= 7, pages
