"""`board --against`: a small film that is rendered and kept in git, the change that a director looks at, a real Chromium."""

from __future__ import annotations

import json
import shutil

import anyio
import pytest

import runner
from runner.outputs.board import sides
from runner.outputs.board.sides import Value
from tests.test_board import CHROMIUM, Film, chromium, tab, until  # noqa: F401 - fixtures

STORYBOARD = """\
callsheet: 1
title: The Ferry
provider: studio
vars: {time: at dawn}
defaults: {model: happyhorse-1.1-t2v, parameters: {resolution: 480P, ratio: 16:9, duration: 3}}
shots:
  - {id: a10, scene: pier, prompt: "A pier ${time} in a thin fog"}
  - {id: a20, scene: pier, model: happyhorse-1.1-i2v, prompt: She turns, parameters: {ratio: null}, media: {first_frame: {shot: a10, frame: last}}}
  - {id: a30, scene: pier, prompt: "A gull ${time}"}
  - {id: b10, scene: boat, prompt: The boat leaves, parameters: {ratio: 9:16}}
  - {id: b20, scene: boat, prompt: The wake}
"""
PAID = """\
provider: qwencloud
providers: {qwencloud: {prices: [{models: [happyhorse-1.1-*], currency: USD, per_second: {480P: "0.20"}}]}}"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The film, whose takes the lock says a provider with prices has made."""
    folder = tmp_path_factory.mktemp("against") / "ferry"
    folder.mkdir()
    path = folder / "pier.callsheet.yaml"
    path.write_text(STORYBOARD, encoding="utf-8")
    manifest = runner.read(path)
    with runner.hold(manifest) as held:
        report = anyio.run(runner.run, runner.decide(manifest, held.lock), held)
    assert report.data["counts"] == {"saved": 5}
    path.write_text(STORYBOARD.replace("provider: studio", PAID), encoding="utf-8")
    lock = folder / "pier.callsheet.lock"
    lock.write_text(lock.read_text("utf-8").replace('"provider": "studio"', '"provider": "qwencloud"'), encoding="utf-8")
    return folder


@pytest.fixture
def film(rendered, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "ferry"
    shutil.copytree(rendered, folder, ignore=shutil.ignore_patterns(".callsheet", "*.html"))
    monkeypatch.chdir(folder)
    made = Film(folder, capsys)
    (folder / ".gitignore").write_text("renders/\n.callsheet/\n*.html\n")
    made.git("init", "-q")
    made.git("add", "-A")
    made.git("commit", "-qm", "first")
    return made


def against(film, *args):
    return film.board("--against", "HEAD", *args, name="pier.changes.board.html")


def totals(seen):
    names = [one["text"] for one in seen.all("dt")]
    return dict(zip(names, [one["text"] for one in seen.all("dd")], strict=True))


def headings(seen):
    return [" ".join(one["text"].split()) for one in seen.all("h2")]


def sums(film):
    assert film.call("--against", "HEAD", "--json") == 0, film.err
    return json.loads(film.out)["next_run"]


def test_a_shot_that_only_follows_shows_its_pictures_what_the_next_run_does_and_the_price(film):
    film.edit(("in a thin fog", "in a thick fog"))
    seen = against(film)
    assert seen.shots == ["a10", "a20"]
    card = seen.card("a20")
    assert "follows a10" in card
    assert "then a20@1" in card
    assert "next run renders a20@2 after a10@2 (3 s, 0.60 USD)" in card
    assert [one["data-take"] for one in seen.all("a", **{"class": "play"})] == ["a10@1", "a20@1"]
    assert len([one for one in seen.all("img") if one["width"] == "480"]) == 2


def test_the_head_says_what_the_next_run_takes_for_it(film):
    film.edit(("in a thin fog", "in a thick fog"))
    found = sums(film)
    assert found == {"takes": 2, "seconds": 6, "cost": [{"amount": "1.20", "currency": "USD"}], "unpriced": 0}
    assert totals(against(film))["next run"] == "renders 2 takes (6 s, 1.20 USD)"
    # What is to be rendered anyhow is none of this change's.
    film.edit(("prompt: The wake", "prompt: A wide wake"))
    film.git("commit", "-qam", "another")
    film.edit(("in a thick fog", "in a dense fog"))
    assert sums(film) == found


def test_what_changed_stands_under_its_scenes(film):
    film.edit(("The boat leaves", "The ferry leaves"), ("A gull ${time}", "A tern ${time}"))
    assert headings(against(film)) == ["pier 1 shot", "boat 1 shot"]


def test_a_variable_that_changed_is_told_once_for_all_its_shots(film):
    film.edit(("time: at dawn", "time: by night"))
    seen = against(film)
    assert seen.shots == ["a10", "a20", "a30"]
    assert headings(seen)[0] == "the same change in several shots"
    (item,) = [one for one in seen.all("li") if "prompt" in one["text"]]
    assert " ".join(item["text"].split()) == "prompt at dawn by night a10, a30"


def test_a_moved_shot_says_from_where_to_where(film):
    film.edit(("  - {id: b20, scene: boat, prompt: The wake}\n", ""))
    film.edit(("  - {id: a30", "  - {id: b20, scene: boat, prompt: The wake}\n  - {id: a30"))
    seen = against(film)
    assert "moved stood behind b10, stands behind a20" in seen.card("b20")
    assert sums(film)["takes"] == 0
    assert totals(seen)["next run"] == "renders nothing"


def test_takes_wanted_and_outputs_make_nothing_follow(film):
    film.edit(('in a thin fog"}', 'in a thin fog", takes: 2}'))
    seen = against(film)
    assert seen.shots == ["a10"]
    assert "takes" in seen.card("a10")


def test_texts_are_cut_at_words_and_changes_with_nothing_between_are_one():
    def cut(old, new):
        sides_ = sides._pieces(Value(text=old, identity=old), Value(text=new, identity=new), is_alone=False)
        return ["".join(f"[{piece.text}]" if piece.is_changed else piece.text for piece in one) for one in sides_]

    assert cut("A pier at dawn, wide", "A pier at dusk, wide") == ["A pier at [dawn], wide", "A pier at [dusk], wide"]
    assert cut("He turns the letter", "He breaks the seal") == ["He [turns the letter]", "He [breaks the seal]"]
    assert cut("She goes", "She slowly goes") == ["She goes", "She [slowly] goes"]
    assert cut("灯塔在夜里发光", "灯塔在黎明发光") == ["灯塔在[夜里]发光", "灯塔在[黎明]发光"]
    whole = "word " * 3000
    assert cut(whole, f"{whole}end")[0] == f"[{whole}]"


# in a browser


def test_pictures_stand_beside_pictures_and_fill_their_columns(film, tab):  # noqa: F811
    film.edit(("in a thin fog", "in a thick fog"), ("The boat leaves", "The ferry leaves"))
    against(film)
    seen = tab(film.folder / "pier.changes.board.html")
    boxes = "els => els.map(e => { const b = e.getBoundingClientRect(); return [b.top, b.left, b.width, b.height]; })"
    for shot in ("a10", "b10"):
        seen.eval_on_selector(f"#shot-{shot}", "e => e.scrollIntoView()")
        then, now = seen.eval_on_selector_all(f"#shot-{shot} .frame", boxes)
        columns = seen.eval_on_selector_all(f"#shot-{shot} .side", boxes)
        assert then[0] == now[0]
        assert then[3] == pytest.approx(now[3], abs=1)
        assert [then[2], now[2]] == pytest.approx([column[2] for column in columns], abs=1.5)
    (picture,) = seen.eval_on_selector_all("#shot-a10 .frame img", boxes)
    assert picture[2] == pytest.approx(then[2], abs=1.5), "a wide picture is as wide as its column"


def test_what_changed_is_told_without_colours(film, tab):  # noqa: F811
    film.edit(("in a thin fog", "in a thick fog"))
    against(film)
    seen = tab(film.folder / "pier.changes.board.html")
    line = "e => getComputedStyle(e).textDecorationLine"
    assert seen.eval_on_selector("del", line) == "line-through"
    assert seen.eval_on_selector("ins", line) == "underline"


def test_both_sides_are_seen_large_and_in_step(film, tab):  # noqa: F811
    film.edit(("id: a30", "id: a31"))
    against(film)
    seen = tab(film.folder / "pier.changes.board.html")
    seen.keyboard.press("j")
    seen.keyboard.press("Enter")
    seen.wait_for_selector("dialog[open] video >> nth=1")
    assert seen.eval_on_selector_all("dialog figcaption > .side-name b", "els => els.map(e => e.textContent)") == ["then", "now"]
    until(seen, "[...document.querySelectorAll('dialog video')].every(v => v.currentTime > 0)")
    seen.keyboard.press("Escape")
    until(seen, "document.activeElement.id === 'shot-a31'")
