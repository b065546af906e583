"""The whole product against each service's dialect, and each trap of theirs by name; the oracle is what was billed.

The tests of one trap say in their names which: they are the rows of the facts' table of traps and of its test matrix.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from runner import download
from runner.cli import code
from runner.client import Client
from runner.studio import Faults, Settings, Studio
from tests.faults.world import tiny

KEYS = {
    "qwencloud": "DASHSCOPE_API_KEY",
    "aisa": "AISA_API_KEY",
    "apiyi": "APIYI_API_KEY",
    "yutoai": "YUTOAI_API_KEY",
    "opeai": "OPEAI_API_KEY",
}
FIVE = list(KEYS)
KEY = "sk-test-0123456789"
# One storyboard of text and of a picture; where a service offers neither model by its own profile, the manifest adds them.
STORYBOARD = """\
callsheet: 1
provider: {provider}
providers:
  {provider}:
    base_url: "{url}"
    models: [wan2.7-t2v, wan2.6-t2v, wan2.7-i2v, wan2.6-i2v]
    poll: {{first: 0.02, every: 0.02, unknown_for: {unknown_for}}}
    limits: {{submits_per_second: 200, queries_per_second: 500}}
{more}
budget: {{takes: 50}}
defaults: {{parameters: {{resolution: 720P, duration: 2}}}}
shots:
{shots}
"""
FOUR = """\
  - {id: text27, model: wan2.7-t2v, prompt: A pier}
  - {id: text26, model: wan2.6-t2v, prompt: A pier at noon}
  - {id: picture27, model: wan2.7-i2v, prompt: She turns, media: {first_frame: keeper.png}}
  - {id: picture26, model: wan2.6-i2v, prompt: He turns, media: {first_frame: keeper.png}}
"""
ONE = "  - {id: one, model: wan2.7-t2v, prompt: A pier}"
PICTURE = "  - {id: one, model: wan2.7-i2v, prompt: She turns, media: {first_frame: keeper.png}}"


@dataclass(kw_only=True)
class Film:
    """A folder with a storyboard for one service, and the studio that plays this service."""

    folder: Path
    studio: Studio
    said: str = ""
    extra: dict = field(default_factory=dict)

    def run(self, capsys, *args):
        """Exit code of a run; its events and all that was said are kept."""
        capsys.readouterr()
        result = code(["run", "--json", *args])
        found = capsys.readouterr()
        self.said = found.out + found.err
        self.events = [json.loads(line) for line in found.out.splitlines()]
        return result

    @property
    def lock(self):
        return json.loads((self.folder / "film.callsheet.lock").read_text())

    @property
    def states(self):
        return {take: entry["state"] for take, entry in self.lock["takes"].items()}

    @property
    def error(self):
        (entry,) = self.lock["takes"].values()
        return entry["attempts"][-1]["error"]

    @property
    def bodies(self):
        return [bill.body for bill in self.studio.bills()]

    def told(self, event):
        return [one for one in self.events if one["event"] == event]


@pytest.fixture
def film(tmp_path, monkeypatch, request):
    """`film("aisa", faults=[…])` starts the studio in that service's dialect and writes the storyboard."""
    stack = []

    def make(provider, *, faults=(), shots=ONE, more="", unknown_for=5, api_key=None):
        settings = Settings(
            folder=tmp_path / "studio", render=tiny, in_flight=4, dialect=provider, faults=Faults.parse(faults), api_key=api_key
        )
        studio = Studio(settings)
        studio.start()
        stack.append(studio)
        folder = tmp_path / "film"
        folder.mkdir()
        Image.new("RGB", (640, 360), "navy").save(folder / "keeper.png")
        text = STORYBOARD.format(provider=provider, url=studio.base_url, shots=shots, more=more, unknown_for=unknown_for)
        (folder / "film.callsheet.yaml").write_text(text)
        monkeypatch.chdir(folder)
        monkeypatch.setenv(KEYS[provider], KEY)
        return Film(folder=folder, studio=studio)

    yield make
    for studio in stack:
        studio.stop()


# The whole job


@pytest.mark.parametrize("provider", FIVE)
def test_the_same_storyboard_runs_through_every_dialect(film, capsys, provider):
    made = film(provider, shots=FOUR)
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"text27@1": "saved", "text26@1": "saved", "picture27@1": "saved", "picture26@1": "saved"}
    assert len(made.bodies) == 4
    for take, entry in made.lock["takes"].items():
        assert (made.folder / entry["render"]["path"]).stat().st_size == entry["render"]["bytes"], take
    assert KEY not in made.said
    assert made.run(capsys, "--yes") == 0
    assert len(made.bodies) == 4, "a run with nothing to do pays for nothing"


@pytest.mark.parametrize("provider", FIVE)
def test_a_picture_reaches_the_model_whatever_the_service_calls_it(film, capsys, provider):
    made = film(provider, shots=FOUR)
    assert made.run(capsys, "--yes") == 0, made.said
    by_model = {body["model"]: body["input"] for body in made.bodies}
    assert isinstance(by_model["wan2.6-i2v"]["img_url"], str)
    (item,) = by_model["wan2.7-i2v"]["media"]
    # AIsa's own pages want bare URLs; everybody else wants objects.
    assert isinstance(item, str) if provider == "aisa" else item.keys() == {"type", "url"}
    assert "media" not in by_model["wan2.6-i2v"]


def test_aisas_strings_can_be_made_objects_by_the_manifest(film, capsys):
    made = film("aisa", shots=PICTURE, more="    media_encoding: object", faults=["media-objects:*"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.bodies[0]["input"]["media"][0]["type"] == "first_frame"


def test_two_media_as_bare_urls_are_refused_before_anything_is_spent(film, capsys):
    shots = "  - {id: one, model: wan2.7-i2v, media: {first_frame: keeper.png, last_frame: keeper.png}}"
    made = film("aisa", shots=shots)
    assert made.run(capsys, "--yes") == 2
    assert "media_encoding: object" in made.said
    assert made.bodies == []


# Traps of tasks that fail


@pytest.mark.parametrize("provider", FIVE)
def test_a_failed_task_comes_with_http_200(film, capsys, provider):
    made = film(provider, faults=["moderation:*"])
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "failed"}
    assert made.error["code"] == "DataInspectionFailed"
    assert made.error["retryable"] is False
    assert made.error["billed"] is False
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_a_passing_failure_is_tried_again_as_often_as_attempts_say(film, capsys, provider):
    made = film(provider, faults=["fail"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}
    assert len(made.lock["takes"]["one@1"]["attempts"]) == 2


@pytest.mark.parametrize("provider", FIVE)
def test_a_bad_body_is_accepted_and_fails_later(film, capsys, provider):
    """What check would have refused, smuggled past it: the submit is accepted, the task fails and is not tried again."""
    shots = "  - {id: one, model: wan2.7-t2v, prompt: A pier, unchecked: {parameters: {audio: loud}}}"
    made = film(provider, shots=shots, faults=["late-check:*"])
    assert made.run(capsys, "--yes") == 1
    assert made.error["code"] == "InvalidParameter"
    assert made.error["retryable"] is False
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_a_message_with_its_code_in_brackets_is_taken_apart(film, capsys, provider):
    made = film(provider, faults=["fail-bracket:*"])
    assert made.run(capsys, "--yes") in {1, 75}
    assert made.error["code"] == "InvalidImageUrl"
    assert not made.error["message"].startswith("[")


@pytest.mark.parametrize("provider", ["apiyi", "yutoai"])
def test_the_text_of_an_error_in_the_place_of_the_link_is_no_link(film, capsys, provider):
    made = film(provider, faults=["fail-url:*"])
    assert made.run(capsys, "--yes") in {1, 75}
    assert made.states == {"one@1": "failed"}


# Traps of queries


@pytest.mark.parametrize("provider", FIVE)
def test_unknown_for_a_while_ends_nothing(film, capsys, provider):
    made = film(provider, faults=["unknown:4"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_unknown_forever_is_lost_and_never_paid_again(film, capsys, provider):
    made = film(provider, faults=["unknown:*"], unknown_for=0.3)
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "lost"}
    assert made.run(capsys, "--yes") == 1
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", ["apiyi", "opeai"])
def test_http_400_task_not_exist_means_unknown(film, capsys, provider):
    made = film(provider, faults=["unknown-400:*"], unknown_for=0.3)
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "lost"}


def test_a_wrong_query_path_answers_500_and_ends_no_take(film, capsys):
    made = film("aisa", faults=["unsupported-uri:*"])
    assert made.run(capsys, "--yes") == 75
    assert made.states == {"one@1": "submitted"}
    assert any("no such query path" in one["reason"] for one in made.told("waiting"))
    made.studio.settings.faults.add("unsupported-uri:0")
    assert made.run(capsys, "--yes") == 0
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_a_query_refused_with_401_ends_no_take(film, capsys, provider):
    made = film(provider, faults=["poll-401:*"])
    assert made.run(capsys, "--yes") == 75
    assert made.states == {"one@1": "submitted"}


@pytest.mark.parametrize("provider", FIVE)
@pytest.mark.parametrize("fault", ["poll-500:3", "poll-html:3", "poll-drop:2", "poll-429", "odd-word:2"])
def test_blips_of_queries_end_no_take(film, capsys, provider, fault):
    made = film(provider, faults=[fault])
    assert made.run(capsys, "--yes") == 0, made.said
    assert len(made.bodies) == 1


# Traps of submits


@pytest.mark.parametrize("provider", FIVE)
def test_too_many_tasks_are_429_with_retry_after(film, capsys, provider):
    made = film(provider, faults=["busy"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert len(made.bodies) == 1
    (waiting,) = made.told("waiting")
    assert waiting["until"]


@pytest.mark.parametrize("provider", FIVE)
def test_429_without_retry_after_is_paced_too(film, capsys, provider):
    made = film(provider, faults=["429-bare"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_429_that_means_an_empty_balance_stops_the_account(film, capsys, provider):
    made = film(provider, faults=["balance:*"], shots=FOUR)
    assert made.run(capsys, "--yes", "--in-flight", "1") == 75
    assert made.bodies == []
    assert [take for take, entry in made.lock["takes"].items() if entry["attempts"]] == ["text27@1"], "the others are not tried"


@pytest.mark.parametrize("provider", FIVE)
def test_a_wrong_key_stops_the_account_and_is_said(film, capsys, provider):
    made = film(provider, api_key="sk-another-key-000000")
    assert made.run(capsys, "--yes") == 75
    assert made.bodies == []
    assert "401" in made.said or "key" in made.said.lower()
    assert KEY not in made.said


def test_500_that_means_missing_media_is_a_refusal(film, capsys):
    made = film("apiyi", faults=["missing-media-500:*"])
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "failed"}
    assert made.error["retryable"] is False
    assert made.bodies == []


@pytest.mark.parametrize("provider", FIVE)
@pytest.mark.parametrize("fault", ["500", "503", "html", "redirect", "no-id"])
def test_whatever_is_neither_an_id_nor_a_listed_refusal_is_in_doubt(film, capsys, provider, fault):
    made = film(provider, faults=[fault])
    assert made.run(capsys, "--yes") == 1, made.said
    assert made.states == {"one@1": "intended"}
    assert made.run(capsys, "--yes") == 1
    assert made.bodies == []


@pytest.mark.parametrize("provider", ["aisa", "apiyi", "yutoai", "opeai"])
@pytest.mark.parametrize("fault", ["lost-reply", "no-id-paid"])
def test_a_lost_submit_reply_is_never_sent_again(film, capsys, provider, fault):
    made = film(provider, faults=[fault])
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "intended"}
    assert made.run(capsys, "--yes") == 1
    assert len(made.bodies) == 1


@pytest.mark.parametrize("fault", ["lost-reply", "no-id-paid"])
def test_a_lost_submit_reply_is_found_again_in_the_native_list(film, capsys, fault):
    made = film("qwencloud", faults=[fault])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", ["yutoai", "opeai"])
def test_http_200_with_an_error_and_no_id_is_a_refusal(film, capsys, provider):
    made = film(provider, faults=["ok-error:*"])
    assert made.run(capsys, "--yes") == 1
    assert made.states == {"one@1": "failed"}
    assert made.error["billed"] is False
    assert made.bodies == []


@pytest.mark.parametrize("provider", FIVE)
def test_replies_labelled_as_compressed_are_read(film, capsys, provider):
    made = film(provider, faults=["gzip-label:*"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert len(made.bodies) == 1


@pytest.mark.parametrize("provider", FIVE)
def test_a_key_that_the_server_repeats_is_not_repeated_by_us(film, capsys, provider):
    made = film(provider, faults=["echo-key:*"])
    made.run(capsys, "--yes")
    assert KEY not in made.said
    for path in made.folder.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


# Traps of results


@pytest.mark.parametrize("fault", ["result-pointer:*", "results-video-url:*"])
def test_a_result_stands_in_another_place(film, capsys, fault):
    made = film("yutoai", faults=[fault])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}


@pytest.mark.parametrize("provider", FIVE)
def test_a_link_that_died_is_renewed_by_asking_the_task(film, capsys, provider):
    made = film(provider, faults=["content-400:*", "expired-link:2"] if provider == "opeai" else ["expired-link:2"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}


@pytest.mark.parametrize("fault", ["content-400", "content-cut", "content-redirect:*"])
def test_the_content_endpoint_refuses_breaks_off_or_leads_elsewhere(film, capsys, fault):
    made = film("opeai", faults=[fault])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}
    assert len(made.bodies) == 1


def test_the_content_endpoint_streams_the_render_where_links_are_dead(film, capsys):
    made = film("opeai", faults=["expired-link:*"])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.told("waiting") == []


@pytest.mark.parametrize("provider", FIVE)
@pytest.mark.parametrize("fault", ["truncate", "short-file"])
def test_a_cut_or_damaged_download_is_fetched_again(film, capsys, provider, fault):
    made = film(provider, faults=[fault, "content-400:*"] if provider == "opeai" else [fault])
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.states == {"one@1": "saved"}


def test_a_download_that_broke_off_is_gone_on_with_where_it_stopped(film, capsys, monkeypatch):
    """If-Range and 206: only what is missing is fetched, and the whole has the hash that the file has."""
    asked, opened = [], Client.download

    def listening(self, url, *, headers=None, key=False):
        asked.append(dict(headers or {}))
        return opened(self, url, headers=headers, key=key)

    monkeypatch.setattr(Client, "download", listening)
    made = film("qwencloud", faults=["truncate:2"])
    assert made.run(capsys, "--yes") == 0, made.said
    (entry,) = made.lock["takes"].values()
    data = (made.folder / entry["render"]["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["render"]["sha256"]
    begun = [headers.get("Range") for headers in asked]
    assert begun[0] is None
    assert begun[1] == f"bytes={len(data) // 2}-"
    assert begun[2] == f"bytes={len(data) // 2 + (len(data) - len(data) // 2) // 2}-"
    assert not list((made.folder / ".callsheet" / "parts").iterdir())


def test_a_download_whose_file_has_changed_is_fetched_whole(film, capsys, monkeypatch):
    kept = download._Part.keep

    def lying(self, fd):
        self.validator = '"of-another-file"'
        kept(self, fd)

    monkeypatch.setattr(download._Part, "keep", lying)
    made = film("qwencloud", faults=["truncate"])
    assert made.run(capsys, "--yes") == 0, made.said
    (entry,) = made.lock["takes"].values()
    assert hashlib.sha256((made.folder / entry["render"]["path"]).read_bytes()).hexdigest() == entry["render"]["sha256"]


def test_a_render_that_is_not_what_was_asked_is_saved_with_remarks(film, capsys):
    made = film("qwencloud")  # its stand-in renders 64 by 36 without sound, half a second long
    assert made.run(capsys, "--yes") == 0
    remarks = made.lock["takes"]["one@1"]["render"]["remarks"]
    assert remarks == [
        "asked for 720P, is 320×240",  # noqa: RUF001
        "asked for 2 s, lasts 0.5 s",
        "wan2.7-t2v makes 30 frames a second, this has 8",
        "has no sound",
    ]
    assert made.told("saved")[0]["remarks"] == remarks


# Media up


def test_an_upload_is_used_again_by_later_runs_and_renewed_when_dead(film, capsys):
    made = film("qwencloud", shots=PICTURE)
    Image.effect_noise((1400, 1400), 90).save(made.folder / "keeper.png")  # too large to go inline
    manifest = made.folder / "film.callsheet.yaml"
    assert made.run(capsys, "--yes") == 0, made.said
    manifest.write_text(manifest.read_text().replace("She turns", "She turns back"))
    assert made.run(capsys, "--yes") == 0
    first, second = (body["input"]["media"][0]["url"] for body in made.bodies)
    assert first.startswith("oss://")
    assert first == second, "the copy of 48 h is used again"
    made.studio.settings.faults.add("dead-oss:1")
    manifest.write_text(manifest.read_text().replace("She turns back", "She turns away"))
    assert made.run(capsys, "--yes") == 0, made.said
    third = made.bodies[2]["input"]["media"][0]["url"]
    assert third.startswith("oss://")
    assert third != first, "the dead copy went up again"
    assert len(made.bodies) == 3


def test_small_pictures_go_inline_and_large_ones_to_the_gateways_own_upload(film, capsys):
    made = film("yutoai", shots=PICTURE)
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.bodies[0]["input"]["media"][0]["url"].startswith("data:image/png;")
    Image.effect_noise((2600, 2600), 90).save(made.folder / "keeper.png")
    assert made.run(capsys, "--yes") == 0, made.said
    assert made.bodies[1]["input"]["media"][0]["url"].startswith("http://127.0.0.1")


@pytest.mark.parametrize("provider", ["aisa", "apiyi", "opeai"])
def test_a_local_sound_that_cannot_get_there_is_said_before_anything_is_spent(film, capsys, provider):
    shots = "  - {id: one, model: wan2.7-t2v, prompt: A pier, media: {driving_audio: vo.wav}}"
    made = film(provider, shots=shots)
    source = Path(__file__).parent.parent / "manifests" / "audio"
    sound = min(source.glob("*.wav"))
    (made.folder / "vo.wav").write_bytes(sound.read_bytes())
    assert made.run(capsys, "--yes") == 2
    assert "takes no local file for driving_audio" in made.said
    assert made.bodies == []
