"""Contract §5, "what a run does": the real command line against a real studio over loopback, counted by its bills."""

from __future__ import annotations

import functools
import json
import shutil

import anyio
import pytest

from runner.cli import code
from runner.studio import Settings, Studio
from tests.faults.world import TAKES, billed, storyboard, tiny, whole


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, in_flight=4)) as studio:
        yield studio


@pytest.fixture(params=["asyncio", "trio"])
def film(studio, tmp_path, request, monkeypatch):
    """A storyboard of three takes that has been run to its end, on either back end."""
    monkeypatch.setattr(anyio, "run", functools.partial(anyio.run, backend=request.param))
    path = storyboard(tmp_path / "film", url=studio.base_url, tag=request.node.name)
    monkeypatch.chdir(path.parent)
    assert code(["run"]) == 0
    assert sorted(billed(studio, request.node.name)) == sorted(TAKES)
    return Film(path, studio, request.node.name)


class Film:
    def __init__(self, path, studio, tag):
        self.path, self.studio, self.tag = path, studio, tag
        self.folder = path.parent
        self.paid = len(self.bills)

    @property
    def bills(self):
        return billed(self.studio, self.tag)

    @property
    def lock(self):
        return json.loads((self.folder / "small.callsheet.lock").read_text())

    def edit(self, old, new):
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def run(self, *args):
        """Run, and say what was newly paid for."""
        before = len(self.bills)
        result = code(["run", *args])
        return result, self.bills[before:]


def test_run_again_sends_nothing(film, capsys):
    lock = (film.folder / "small.callsheet.lock").read_bytes()
    assert film.run() == (0, [])
    assert "no request was sent" in capsys.readouterr().err
    assert (film.folder / "small.callsheet.lock").read_bytes() == lock


def test_one_prompt_edited_renders_that_take_only(film):
    film.edit("The keeper turns", "The keeper sleeps")
    assert film.run() == (0, ["s020@2"])
    assert (film.folder / "renders/small/s020.mp4").samefile(film.folder / "renders/small/takes/s020@2.mp4")
    assert set(whole(film.folder)) == {*TAKES, "s020@2"}


def test_edited_back_nothing_is_paid_and_the_output_follows(film):
    film.edit("The keeper turns", "The keeper sleeps")
    film.run()
    film.edit("The keeper sleeps", "The keeper turns")
    assert film.run() == (0, [])
    assert (film.folder / "renders/small/s020.mp4").samefile(film.folder / "renders/small/takes/s020@1.mp4")


def test_a_renamed_shot_takes_its_takes_along(film):
    film.edit("id: s020", "id: keeper")
    assert film.run() == (0, [])
    assert set(film.lock["takes"]) == {"s010@1", "s010@2", "keeper@1"}
    assert film.lock["takes"]["keeper@1"]["was"] == ["s020@1"]
    assert (film.folder / "renders/small/takes/keeper@1.mp4").exists()
    assert not (film.folder / "renders/small/takes/s020@1.mp4").exists()


def test_a_name_used_again_after_a_rename_gets_a_new_number(film):
    film.edit("id: s020", "id: keeper")
    film.run()
    film.edit("id: keeper", "id: s020")
    film.edit("The keeper turns", "Nobody turns")
    # the orphan has another wording, so this is a new shot under an old name
    assert film.run() == (0, ["s020@2"])


def test_a_shot_taken_out_keeps_its_takes(film):
    lines = film.path.read_text().splitlines()
    film.path.write_text("\n".join(line for line in lines if "s020" not in line) + "\n")
    assert film.run() == (0, [])
    assert film.lock["takes"]["s020@1"]["state"] == "saved"
    assert (film.folder / "renders/small/takes/s020@1.mp4").exists()


def test_a_fresh_clone_without_renders_fetches_them_and_pays_nothing(film):
    shutil.rmtree(film.folder / "renders")
    shutil.rmtree(film.folder / ".callsheet")
    assert film.run() == (0, [])
    assert set(whole(film.folder)) == set(TAKES)
    assert (film.folder / "renders/small/s020.mp4").exists()


def test_the_end_counts_each_take_once_and_what_is_outdated_apart(film, capsys):
    film.edit("A lighthouse", "A tall lighthouse")
    output = film.folder / "renders/small/s010.mp4"
    assert film.run()[0] == 0
    assert "\n3 saved, 2 outdated\n" in capsys.readouterr().err
    film.edit("A tall lighthouse", "A small lighthouse")
    output.unlink()
    output.write_bytes(b"somebody else's")
    assert film.run()[0] == 1
    assert "\n2 blocked, 1 saved, 4 outdated\n" in capsys.readouterr().err


def test_renders_the_provider_no_longer_has_are_absent_and_not_paid_again(film, tmp_path, capsys):
    """A clone whose studio is another one: its tasks answer UNKNOWN."""
    with Studio(Settings(folder=tmp_path / "other", render=tiny)) as other:
        film.edit(film.studio.base_url, other.base_url)
        shutil.rmtree(film.folder / "renders")
        shutil.rmtree(film.folder / ".callsheet")
        assert film.run() == (0, [])
        assert other.bills() == []
        assert "absent (saved once" in capsys.readouterr().err
        assert film.run() == (0, [])  # told once, then known
        assert "no request was sent" in capsys.readouterr().err
        assert code(["again", "small.callsheet.yaml", "s020@1"]) == 0
        assert code(["run"]) == 0
        assert [bill.take for bill in other.bills()] == ["s020@1"]


def test_an_old_lock_brought_back_by_git_pays_for_nothing_twice(film):
    old = (film.folder / "small.callsheet.lock").read_bytes()
    film.edit("The keeper turns", "The keeper sleeps")
    assert film.run() == (0, ["s020@2"])
    (film.folder / "small.callsheet.lock").write_bytes(old)
    assert film.run() == (0, [])
    assert "s020@2" in film.lock["takes"]


def test_a_deleted_lock_is_made_again_from_the_journal(film):
    (film.folder / "small.callsheet.lock").unlink()
    assert film.run() == (0, [])
    assert set(film.lock["takes"]) == set(TAKES)


def test_more_takes_are_added_fewer_are_kept(film):
    film.edit("takes: 2", "takes: 3")
    assert film.run() == (0, ["s010@3"])
    film.edit("takes: 3", "takes: 0")
    assert film.run() == (0, [])
    assert set(whole(film.folder)) == {*TAKES, "s010@3"}


def test_a_studio_render_never_satisfies_another_provider(film, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "any-key-will-do")
    monkeypatch.setenv("QWENCLOUD_BASE_URL", film.studio.base_url)
    plan = _json(film, "plan", "--provider", "qwencloud")
    assert plan["totals"]["actions"] == {"submit": 3}
    assert film.lock["takes"]["s020@1"]["provider"] == "studio"


def test_a_file_in_the_way_blocks_its_take_before_it_is_paid_for(film):
    stranger = film.folder / "renders/small/takes/s020@2.mp4"
    stranger.write_bytes(b"mine")
    film.edit("The keeper turns", "The keeper sleeps")
    assert film.run() == (1, [])
    assert stranger.read_bytes() == b"mine"
    stranger.unlink()
    assert film.run() == (0, ["s020@2"])


def test_an_output_of_somebody_else_is_never_overwritten(film):
    output = film.folder / "renders/small/s020.mp4"
    output.unlink()
    output.write_bytes(b"mine")
    film.edit("The keeper turns", "The keeper sleeps")
    assert film.run() == (1, [])
    assert output.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "paid"),
    [
        (["--only", "s010"], ["s010@3", "s010@4"]),
        (["--only", "s010@4"], ["s010@4"]),
        (["--only", "s0?0", "--skip", "s010"], ["s020@2"]),
        (["--state", "new", "--limit", "1"], ["s010@3"]),
    ],
)
def test_only_what_is_selected_is_submitted(film, options, paid):
    film.edit("at dusk", "at dawn")
    film.edit("The keeper turns", "The keeper sleeps")
    result, bills = film.run(*options)
    assert (result, sorted(bills)) == (0, paid)


def test_a_selection_of_nothing_is_a_usage_error(film, capsys):
    assert film.run("--only", "s099") == (2, [])
    assert "the shots are: s010, s020" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "s01O"], ['no take is called "s01O"', 'did you mean "s010"?']),
        (["--scene", "habour"], ['there is no scene "habour"', 'did you mean "harbour"?']),
        (["--scene", "harbour", "--only", "s020"], ["each of these words fits some"]),
        (["--only", "s010", "--only", "s02O"], ['no take is called "s02O"', 'did you mean "s020"?']),
        (["--skip", "s02O"], ['no take is called "s02O"', 'did you mean "s020"?']),
    ],
)
def test_a_word_that_meets_nothing_is_named_before_anything_is_sent(film, capsys, options, words):
    film.edit("{id: s010,", "{id: s010, scene: harbour,")
    film.edit("shots:\n", "scenes: {harbour: {}}\nshots:\n")
    assert film.run(*options) == (2, [])
    err = capsys.readouterr().err
    assert all(word in err for word in words), err


@pytest.mark.parametrize("verb", ["status", "board"])
def test_looking_for_what_is_not_there_is_a_usage_error_too(film, capsys, verb):
    assert code([verb, "--only", "s01O"]) == 2
    assert 'did you mean "s010"?' in capsys.readouterr().err
    assert code(["status", "--state", "failed"]) == 0
    assert capsys.readouterr().out == "no such take\n", "that none has failed is an answer"


def test_a_plan_is_written_over_an_earlier_one_and_over_nothing_else(film, capsys):
    before = film.path.read_bytes()
    assert code(["plan", "--out", film.path.name]) == 2
    assert "is in the way: it is no plan" in capsys.readouterr().err
    assert film.path.read_bytes() == before
    assert code(["plan", "--out", "plans/tonight.json"]) == 2
    assert "there is no folder plans" in capsys.readouterr().err
    assert code(["plan", "--out", "tonight.json"]) == code(["plan", "--out", "tonight.json"]) == 0


def test_values_of_options_that_are_misspelt(film, capsys):
    assert code(["plan", "--state", "savde"]) == 2
    assert 'did you mean "saved"?' in capsys.readouterr().err
    assert code(["plan", "--limit", "few"]) == 2
    assert "'few' is not a whole number\n" in capsys.readouterr().err
    assert code(["run", "--max-seconds", "few"]) == 2
    assert "'few' is not a number\n" in capsys.readouterr().err


def test_a_manifest_that_is_misspelt_has_no_status(film, capsys):
    assert code(["status", "smal.callsheet.yaml"]) == 2
    assert 'there is no file "smal.callsheet.yaml"' in capsys.readouterr().err
    film.path.unlink()
    assert code(["status", "small.callsheet.yaml"]) == 0
    assert "s010@1" in capsys.readouterr().out, "the lock alone is something to look at"


def test_before_the_first_run_status_has_no_head_without_a_table(film, capsys):
    (film.folder / "small.callsheet.lock").unlink()
    shutil.rmtree(film.folder / ".callsheet")
    shutil.rmtree(film.folder / "renders")
    capsys.readouterr()
    assert code(["status"]) == 75
    assert capsys.readouterr().out == "no takes yet\n"


def test_a_line_to_copy_keeps_the_provider_that_was_asked_for(film, capsys):
    assert film.run("--provider", "studio") == (0, [])
    assert "callsheet board small.callsheet.yaml --provider studio" in capsys.readouterr().err
    assert code(["retake", "s020", "--provider", "studio"]) == 0
    assert "to go on: callsheet run small.callsheet.yaml --provider studio" in capsys.readouterr().err


def test_collect_promises_no_submit(film, capsys):
    film.edit("The keeper turns", "The keeper sleeps")
    code(["collect"])
    err = capsys.readouterr().err
    assert "1 that only a run submits, 2 saved." in err
    assert "to submit" not in err


def test_a_render_that_somebody_changed_is_told_from_a_strangers_file(film, capsys):
    with (film.folder / "renders/small/takes/s020@1.mp4").open("ab") as file:
        file.write(b"more")
    assert film.run() == (1, [])
    said = "s020@1.mp4 is in the way: it is not the file that was saved; move it, then run again"
    assert said in capsys.readouterr().err


def test_where_nothing_is_here_nothing_is_offered_to_be_looked_at(film, tmp_path, capsys):
    with Studio(Settings(folder=tmp_path / "other", render=tiny)) as other:
        film.edit(film.studio.base_url, other.base_url)
        shutil.rmtree(film.folder / "renders")
        capsys.readouterr()
        assert film.run() == (0, [])
        err = capsys.readouterr().err
        assert "3 absent" in err
        assert "to look at them" not in err


def test_a_saved_plan_is_carried_out_as_it_was_shown_or_not_at_all(film, capsys):
    film.edit("The keeper turns", "The keeper sleeps")
    assert code(["plan", "--check", "--out", "tonight.json"]) == 4
    film.edit("The keeper sleeps", "The keeper reads")
    assert film.run("--plan", "tonight.json") == (3, [])
    assert "no longer fits" in capsys.readouterr().err
    film.edit("The keeper reads", "The keeper sleeps")
    assert film.run("--plan", "tonight.json") == (0, ["s020@2"])
    assert film.run("--plan", "tonight.json") == (3, [])


def test_status_works_without_network_and_with_a_broken_manifest(film, capsys):
    film.path.write_text("callsheet: 1\nshots: [\n")
    assert code(["status", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [take["take"] for take in said["takes"]] == ["s010@1", "s010@2", "s020@1"]
    assert {take["current"] for take in said["takes"]} == {None}


def _json(film, *args):
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "runner", *args, "--json"], check=True, capture_output=True, text=True, cwd=film.folder, env=_env()
    )
    return json.loads(done.stdout)


def _env():
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
