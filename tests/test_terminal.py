"""What a person sees on a real terminal: a pseudo-terminal of the operating system, the real command line."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.outputs import progress
from runner.studio import Settings, Studio
from tests.faults.world import billed, storyboard, tiny
from tests.test_progress import Film

pty = pytest.importorskip("pty")  # Windows has none
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny)) as studio:
        yield studio


def on_terminal(folder, *args, typed=b"", **environ):
    """Run with all three streams on a terminal; exit code and what stood on the screen."""
    result, said = written(folder, *args, typed=typed, **environ)
    return result, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)


def written(folder, *args, typed=b"", columns=100, at=None, **environ):
    """The same with everything that was written to the terminal; `at` is called once with the process and a text is there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environ}
    for name in ("CI", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        if name not in environ:
            env.pop(name, None)
    child = subprocess.Popen(
        [sys.executable, "-m", "runner", *args], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    if typed:
        os.write(ours, typed)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
            if at and at[0] in said:
                at[1](child, ours)
                at = None
    except OSError:  # Linux says EIO when the other end is closed
        pass
    os.close(ours)
    return child.wait(30), said.decode()


def test_the_live_view_ends_tidily(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="live").parent
    code, said = on_terminal(folder, "run")
    assert code == 0, said
    assert "3 saved" in said
    assert "bug" not in said


def many(folder, studio, count):
    folder.mkdir()
    shots = "\n".join(f"  - {{id: s{number:04}, prompt: Boat {number}}}" for number in range(count))
    limits = "{submits_per_second: 1000, queries_per_second: 1000, in_flight: 50}"
    poll = "{first: 0.05, every: 0.05}"
    head = f'providers: {{studio: {{base_url: "{studio.base_url}", poll: {poll}, limits: {limits}}}}}\n'
    head += "defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}\n"
    (folder / "many.callsheet.yaml").write_text(f"callsheet: 1\n{head}shots:\n{shots}\n")
    return folder


def is_tidy(said):
    """The cursor is there, and no colour is left on."""
    return said.rfind("\x1b[?25h") >= said.rfind("\x1b[?25l") and said.rfind("\x1b[0m") >= max(
        said.rfind(f"\x1b[{code}m") for code in ("1", "2", "36", "31")
    )


def test_the_live_view_is_drawn_four_times_a_second_whatever_happens(tmp_path):
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, in_flight=50)) as studio:
        folder = many(tmp_path / "film", studio, 150)
        began = time.monotonic()
        code, said = written(folder, "run")
        took = time.monotonic() - began
    assert code == 0, said
    assert is_tidy(said)
    pictures = said.count(" so far")
    assert 2 <= pictures <= 4 * took + 6, (pictures, took)
    assert "s0007@1  saved" not in said, "of so many only the totals are told"
    assert "… and" in said
    assert "under way" in said
    assert "150 saved" in said.splitlines()[-2]


def test_the_live_view_fits_a_narrow_terminal(tmp_path):
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, seconds=1.5)) as studio:
        folder = storyboard(tmp_path / "film", url=studio.base_url, tag="narrow").parent
        code, said = on_terminal(folder, "run", columns=24)
    assert code == 0, said
    pictures = [line.rpartition("\r")[2] for line in said.splitlines() if " so far" in line or "of 3 saved" in line]
    assert pictures
    assert all(len(line) < 24 for line in pictures), pictures
    assert any(line.endswith("…") for line in pictures), "a line is cut, not broken"


def test_the_columns_of_the_live_view_stand_below_each_other(tmp_path):
    """Short names and long ones, of which the end is kept; no expectation that is nothing."""
    names = ["s1", "harbour-at-dusk", "the-lighthouse-on-its-rocks-in-the-storm-by-night-seed-1", "s2", "s3", "s4"]
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, seconds=0.6)) as studio:
        folder = many(tmp_path / "film", studio, 1)
        path = folder / "many.callsheet.yaml"
        shots = "\n".join(f"  - {{id: {name}, prompt: Boat}}" for name in names)
        text = path.read_text("utf-8").partition("shots:")[0].replace("in_flight: 50", "in_flight: 3")
        path.write_text(f"{text}shots:\n{shots}\n", "utf-8")
        code, said = on_terminal(folder, "run", columns=80)
    assert code == 0, said
    states = "submitted|pending|running|fetching|under way|sending"
    rows = [re.match(rf"(\S+) +({states}) +(\d+:\d\d)(.*)", line.rpartition("\r")[2]) for line in said.splitlines()]
    rows = [row for row in rows if row]
    assert {row[1] for row in rows} >= {"s1@1", "harbour-at-dusk@1", "the-light…-the-storm-by-night-seed-1@1"}
    assert len({(row.start(2), row.end(3)) for row in rows}) == 1, "every state begins and every time ends where the others do"
    assert "of about 0:00" not in said


def test_words_of_any_width_fill_their_column(tmp_path):
    film = Film(tmp_path, takes=3)
    film.hear("intended", 0, 1, 2)
    film.hear("submitted", 0, 1, 2)
    film.hear("status", 0, word="排队中请稍候")
    film.hear("status", 1, word="RUNNING")
    film.tally.durations.add("qwencloud", "wan2.7-t2v", "720P", 5.0, 0.4)
    live = progress._Live(film.tally)
    assert [row[1:] for row in live._takes(9, 76)] == [
        ("排队中请稍候", "0:00"),
        ("running     ", "0:00"),
        ("submitted   ", "0:00"),
    ]
    film.hear("status", 0, word="RUNNING")
    film.tally.durations.add("qwencloud", "wan2.7-t2v", "720P", 5.0, 60.0)
    film.tally.durations.add("qwencloud", "wan2.7-t2v", "720P", 5.0, 60.0)
    film.clock.now += 3601
    film.hear("rendered", 2)
    assert [row[1:] for row in live._takes(9, 76)] == [
        ("running     ", "1:00:01, usually 1:00"),
        ("running     ", "1:00:01, usually 1:00"),
        ("fetching    ", "1:00:01"),
    ], "nothing jumps back, and what is usual is told only until the render is there"


def test_a_long_name_is_cut_where_it_says_least():
    name = "s040-dawn-and-a-thin-fog-1@12"
    assert progress.shortened(name, 40) == name
    assert progress.shortened(name, len(name)) == name
    assert [len(progress.shortened(name, width)) for width in range(8, 29)] == [*range(8, 29)]
    assert progress.shortened(name, 16) == "s040…in-fog-1@12"


def test_nothing_that_somebody_wrote_gives_orders_to_the_terminal(tmp_path):
    """A title, a key, a model, a file's name, each with an escape sequence and what turns a line around."""
    folder = tmp_path / "film"
    folder.mkdir()
    path = folder / "small.callsheet.yaml"
    hostile = r"\e]0;mine\a\e[2J\u202edrow"
    shown = "⟨U+001B⟩]0;mine⟨U+0007⟩⟨U+001B⟩[2J⟨U+202E⟩drow"
    path.write_text(f'callsheet: 1\ntitle: "{hostile}"\nshots: [{{id: s, prompt: A, "{hostile}": 1, model: "{hostile}"}}]\n')
    code, said = written(folder, "check")
    assert code == 2
    assert said.count(shown) == 2, said
    path.write_text(f'callsheet: 1\ntitle: "{hostile}"\ndefaults: {{model: wan2.7-t2v}}\nshots: [{{id: s, prompt: A}}]\n')
    heard = written(folder, "run", "--provider", "qwencloud", CALLSHEET_NO_SPEND="1", DASHSCOPE_API_KEY="a-key")[1]
    heard += written(folder, "board", "--scene", "x", "--out", "no\x1b[2J\u202e")[1]
    (folder / "no\x1b[2J\u202e").write_text("notes")
    heard += written(folder, "board", "--out", "no\x1b[2J\u202e")[1]
    assert shown in heard
    assert "no⟨U+001B⟩[2J⟨U+202E⟩ is in the way" in heard
    for text in (said, heard):
        assert not re.search("\x1b(?!\\[[0-9;]*m)|\u202e", text), "colours of ours are all there is"


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}], ids=lambda environ: next(iter(environ)))
def test_no_live_view_where_nobody_looks_or_the_cursor_cannot_move(studio, tmp_path, environ):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag=f"plain-{next(iter(environ))}").parent
    code, said = written(folder, "run", **environ)
    assert code == 0, said
    assert not re.search(r"\x1b\[\d*[ABCDHJK]|\x1b\[\?", said)
    assert "s020@1  submitted  task " in said


def test_no_color_is_respected_in_the_live_view(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="grey").parent
    code, said = written(folder, "run", NO_COLOR="1")
    assert code == 0, said
    assert "saved" in said
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)m", said)


def test_force_color_makes_no_terminal_of_a_pipe(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="forced").parent
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "runner", "run"], cwd=folder, capture_output=True, text=True, env=env, check=True
    )
    assert "\x1b[?" not in done.stderr
    assert not re.search(r"\x1b\[\d*[ABCDHJK]", done.stderr)
    assert "s020@1  saved" in done.stderr


def test_colors_go_by_the_terminal_unless_the_environment_says_otherwise(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="colors").parent
    red = "\x1b[31m\x1b[1merror"

    def piped(*args, **environ):
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        done = subprocess.run([sys.executable, "-m", "runner", *args], cwd=folder, capture_output=True, text=True, env=env)  # noqa: PLW1510 - fails
        return done.stdout + done.stderr

    assert "\x1b[33msubmit" in written(folder, "plan")[1]
    assert "\x1b[3" not in written(folder, "plan", NO_COLOR="1")[1]
    assert "\x1b[" not in piped("plan")
    assert "\x1b[33msubmit" in piped("plan", FORCE_COLOR="1")
    (folder / "small.callsheet.yaml").write_text("callsheet: 1\n")
    assert red in written(folder, "plan")[1]
    assert "\x1b[3" not in written(folder, "plan", NO_COLOR="1")[1]
    assert red in piped("plan", FORCE_COLOR="1")


def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path):
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, seconds=30)) as studio:
        folder = storyboard(tmp_path / "film", url=studio.base_url, tag="stopped").parent
        code, said = written(folder, "run", at=(b"2 under way", lambda child, _: child.send_signal(signal.SIGINT)))
        assert code == 130, said
        assert is_tidy(said)
        assert "stopped; whatever was sent is written down" in said
        code, said = written(folder, "run", at=(b"2 under way, 1 to go", lambda child, _: child.kill()))
        assert code == -signal.SIGKILL
        assert said.rfind("\x1b[?25h") >= said.rfind("\x1b[?25l"), "the cursor is there even then"


def test_a_terminal_that_is_made_narrower_is_drawn_anew(tmp_path):
    def narrow(_, terminal):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 30, 0, 0))

    with Studio(Settings(folder=tmp_path / "studio", render=tiny, seconds=1.5)) as studio:
        folder = storyboard(tmp_path / "film", url=studio.base_url, tag="resized").parent
        code, said = written(folder, "run", at=(b"2 under way", narrow))
    assert code == 0, said
    after = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).split("2 under way", 1)[1]
    assert all(len(line.rpartition("\r")[2]) < 30 for line in after.splitlines() if " so far" in line)
    assert is_tidy(said)


def test_a_pick_that_outdates_takes_is_asked_for(tmp_path):
    with Studio(Settings(folder=tmp_path / "studio")) as studio:
        folder = tmp_path / "film"
        folder.mkdir()
        (folder / "chain.callsheet.yaml").write_text(
            f'callsheet: 1\nproviders: {{studio: {{base_url: "{studio.base_url}", poll: {{first: 0.1, every: 0.1}}}}}}\n'
            "defaults: {model: wan2.2-t2v-plus, parameters: {resolution: 480P, ratio: '16:9'}}\nshots:\n"
            "  - {id: s010, prompt: Dusk, takes: 2}\n"
            "  - {id: s020, model: wan2.2-i2v-plus, prompt: Dawn, parameters: {ratio: null}, media: {first_frame: {shot: s010}}}\n"
        )
        assert on_terminal(folder, "run")[0] == 1
        code, said = on_terminal(folder, "pick", "s010@1")
        assert (code, "?" in said) == (0, False), "nothing becomes outdated, nothing is asked"
        assert on_terminal(folder, "run")[0] == 0
        code, said = on_terminal(folder, "pick", "s010@2", typed=b"n\n")
        assert code == 3, said
        assert "outdated by this: s020@1, made from another render" in said
        assert "the next run would submit s020@2: 1 to submit (5 s of video, free)." in said
        assert "Pick, and let 1 take become outdated?" in said
        assert on_terminal(folder, "pick", "s010@2", typed=b"y\n")[0] == 0
        code, said = on_terminal(folder, "pick", "s010@1", "--yes")
        assert (code, "current again: s020@1" in said) == (0, True)


def test_paid_submits_are_asked_for_and_a_no_sends_nothing(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="paid").parent
    text = (folder / "small.callsheet.yaml").read_text()
    paid = "provider: qwencloud\nproviders: {qwencloud: {base_url: 'https://dashscope-intl.aliyuncs.com/api/v1'}}\n"
    (folder / "small.callsheet.yaml").write_text(re.sub(r"providers:\n.*\n", paid, text))
    code, said = on_terminal(folder, "run", typed=b"n\n", DASHSCOPE_API_KEY="a-key-of-no-account")
    assert code == 3, said
    assert "Submit 3 paid takes?" in said
    assert "0.60 USD" in said  # 3 takes of 2 s at 0.10
    assert billed(studio, "paid") == []


def test_without_a_key_nobody_is_asked_for_a_yes(studio, tmp_path):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="keyless").parent
    code, said = on_terminal(folder, "run", "--provider", "qwencloud", typed=b"n\n", DASHSCOPE_API_KEY="")
    assert code == 3
    assert "qwencloud needs a key and DASHSCOPE_API_KEY is not set" in said
    assert "Submit" not in said


@pytest.mark.parametrize("value", ["1", "true", "Yes"])
def test_no_spend_refuses_before_anything_is_asked(studio, tmp_path, value):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="nospend").parent
    keys = {"CALLSHEET_NO_SPEND": value, "DASHSCOPE_API_KEY": "a-key"}
    code, said = on_terminal(folder, "run", "--provider", "qwencloud", "--yes", **keys)
    assert code == 3
    assert f"CALLSHEET_NO_SPEND={value} forbids the 3 paid submits" in said
    assert "callsheet preview" in said


@pytest.mark.parametrize("value", ["", "0", "False"])
def test_a_no_spend_that_says_no_forbids_nothing(studio, tmp_path, value):
    folder = storyboard(tmp_path / "film", url=studio.base_url, tag="spend").parent
    keys = {"CALLSHEET_NO_SPEND": value, "DASHSCOPE_API_KEY": "a-key"}
    code, said = on_terminal(folder, "run", "--provider", "qwencloud", typed=b"n\n", **keys)
    assert code == 3
    assert "Submit 3 paid takes?" in said


@pytest.mark.parametrize(
    "verb",
    [
        "init",
        "check",
        "plan",
        "run",
        "preview",
        "collect",
        "status",
        "why",
        "retake",
        "pick",
        "adopt",
        "again",
        "reconcile",
        "cancel",
        "models",
        "providers",
        "schema",
        "studio",
    ],
)
def test_every_verb_has_help_with_an_example(verb, capsys):
    from runner.cli import code

    assert code([verb, "--help"]) == 0
    assert f"callsheet {verb}" in capsys.readouterr().out.split("Options:")[0].split("\n", 1)[1]


def test_start_up_loads_nothing_heavy(tmp_path):
    folder = storyboard(tmp_path / "film", url="http://127.0.0.1:9/api/v1", tag="light").parent
    program = (
        "import sys; from runner.cli import code; code(['plan']); "
        "print(sorted({'httpx', 'av', 'rich', 'uvicorn', 'starlette'} & set(sys.modules)), file=sys.stderr)"
    )
    (folder / "small.callsheet.yaml").write_text("callsheet: 1\ndefaults: {model: wan2.7-t2v}\nshots: [{id: s, prompt: A}]\n")
    done = subprocess.run(  # noqa: PLW1510 - its last line is what is looked at
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
