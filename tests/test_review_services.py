"""What a review of models and providers found, each as the scenario that showed it."""

from __future__ import annotations

import base64
import http.server
import io
import threading
from fractions import Fraction

import anyio
import av
import pytest
from PIL import Image

import runner
from runner import answers, catalog, gates, providers
from runner.assets import Medium
from runner.budget import Caps, committed
from runner.client import Client
from runner.errors import ManifestError, Refused
from runner.hosts import is_at, realm
from runner.lock import Attempt, Entry, Lock
from runner.money import Money
from runner.remarks import remarks
from runner.uploads import UploadCache
from runner.ways import way

SHOT = "shots: [{id: one, model: wan2.7-t2v, prompt: A, parameters: {resolution: 720P, duration: 5}}]\n"


@pytest.fixture
def read(tmp_path):
    def make(text, **environ):
        path = tmp_path / "film.callsheet.yaml"
        path.write_text(f"callsheet: 1\n{text}" + ("" if "shots:" in text else SHOT))
        return runner.read(path, environ=environ)

    return make


def step(manifest):
    return runner.decide(manifest, runner.known(manifest)).steps[0]


@pytest.mark.parametrize("name", ["studio", '"studio:x"', '"a/../b"', '""', "Studio"])
def test_nothing_paid_can_pass_as_the_studio(read, name):
    with pytest.raises(ManifestError, match=r"only one of its kind|cannot be a name|letters"):
        read(f"providers: {{{name}: {{extends: qwencloud}}}}\n")


def test_another_house_does_not_inherit_a_price_list(read):
    about = "provider: gw\nproviders: {gw: {extends: apiyi, base_url: 'https://gw.example', auth: {env: GW_KEY}%s}}\n"
    assert step(read(about % "")).cost is None
    price = ", prices: [{models: [wan2.7-*], currency: USD, per_second: {720P: '0.1028'}}]"
    assert step(read(about % price)).cost.said()["amount"] == "0.514"
    assert step(read("provider: apiyi\n", APIYI_BASE_URL="https://gw.example")).cost is None
    assert step(read("provider: apiyi\n", APIYI_BASE_URL="https://vip.apiyi.com")).cost is not None


def test_a_price_in_another_currency_does_not_silence_the_real_one(read):
    price = "prices: [{models: ['*'], currency: ZZZ, per_second: {720P: '0.000001'}}]"
    cost = step(read(f"provider: apiyi\nproviders: {{apiyi: {{{price}}}}}\n")).cost
    assert (cost.currency, cost.micros) == ("USD", 420_000)


@pytest.mark.parametrize(
    ("said", "environ", "region", "currency"),
    [
        ("{base_url: 'https://dashscope.aliyuncs.com/api/v1'}", {}, "cn", "CNY"),
        ("{base_url: 'https://ws1.cn-beijing.maas.aliyuncs.com/api/v1'}", {}, "cn", "CNY"),
        ("{}", {"QWENCLOUD_BASE_URL": "https://dashscope.aliyuncs.com/api/v1"}, "cn", "CNY"),
        ("{base_url: 'https://proxy.example/api/v1'}", {}, None, None),
        ("{}", {}, "intl", "USD"),
    ],
)
def test_the_region_is_that_of_the_address(read, said, environ, region, currency):
    manifest = read(f"provider: qwencloud\nproviders: {{qwencloud: {said}}}\n", **environ)
    assert manifest.catalog.providers["qwencloud"].region == region
    cost = step(manifest).cost
    assert (cost and cost.currency) == currency


def test_a_region_against_the_address_is_an_error(read):
    with pytest.raises(ManifestError, match=r"region intl, but dashscope\.aliyuncs\.com is in region cn"):
        read("providers: {qwencloud: {region: intl, base_url: 'https://dashscope.aliyuncs.com/api/v1'}}\n")


def test_what_nobody_knows_of_regions_is_warned_of_and_what_is_known_refused(read):
    about = "provider: qwencloud\nproviders: {qwencloud: {region: hk}}\n"
    assert [problem.code for problem in read(about).problems] == ["W308"]
    shot = "shots: [{id: one, model: wan2.2-s2v, media: {image: 'https://x.example/a.png', driving_audio: 'https://x.example/a.mp3'}}]\n"
    with pytest.raises(ManifestError, match="not offered in region hk"):
        read(about + shot)


def test_a_canceled_take_counts_as_spent_where_nobody_says_that_it_is_free():
    cost = Money(micros=2_000_000, currency="USD")
    attempt = Attempt(id="a", account="aisa:1", task_id="t", reserved=cost, ended_at="2026-11-21T00:00:00Z")
    for billed, spent in ((None, 2_000_000), (False, 0)):
        error = {"code": "Canceled", "message": "", "retryable": False, "billed": billed}
        entry = Entry(state="canceled", provider="aisa", attempts=(Attempt(**{**_fields(attempt), "error": error}),))
        assert committed(Lock(takes={"s@1": entry})).of("USD") == spent


def _fields(attempt):
    return {name: getattr(attempt, name) for name in attempt.__slots__}


@pytest.mark.parametrize("provider", ["opeai", "yutoai"])
def test_what_a_gateway_wraps_is_refused_only_if_it_is_a_refusal(provider):
    profile = catalog.load().providers[provider]

    def outcome(message):
        body = f'{{"code":"ali_api_error","message":"{message}","data":null}}'.encode()
        return type(answers.read_submit(profile, answers.Reply(status=200, headers={}, body=body))).__name__

    assert outcome("InvalidParameter: size") == "Refusal"
    assert outcome("[DataInspectionFailed] x") == "Refusal"
    assert outcome("InternalError: timeout") == "Doubt"
    assert outcome("[InternalError.Timeout] x") == "Doubt"


def test_an_upstreams_words_in_the_middle_of_a_message_refuse_nothing():
    profile = catalog.load().providers["apiyi"]
    body = b'{"type": "task_error", "message": "upstream error: post timed out, Field required in log"}'
    assert isinstance(answers.read_submit(profile, answers.Reply(status=500, headers={}, body=body)), answers.Doubt)


@pytest.mark.parametrize("number", ["0.5", "0", "-1"])
def test_less_than_one_task_at_once_is_no_limit(read, number):
    with pytest.raises(ManifestError):
        read(f"providers: {{aisa: {{limits: {{in_flight: {number}}}}}}}\n")


@pytest.mark.parametrize(
    "url", ["https://user:pw@api.aisa.one/v1", "https://api.aisa.one?x=", "https://api.aisa.one/#x", "https://[::1"]
)
def test_an_address_is_a_host_and_a_path(read, url):
    with pytest.raises(ManifestError, match=r"no user, password|not an http"):
        read(f"providers: {{aisa: {{base_url: '{url}'}}}}\n")


def test_a_hidden_folder_behind_a_link_stays_hidden(read, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("url = https://user:tok@host")
    (tmp_path / "refs").symlink_to(".git")
    with pytest.raises(ManifestError, match="hidden"):
        read("shots: [{id: one, model: wan2.7-t2v, prompt: {file: refs/config}}]\n")


@pytest.mark.parametrize(
    "shot",
    [
        "{id: one, model: wan2.6-t2v, prompt: A, parameters: {ratio: -1}}",
        "{id: one, model: wan2.6-t2v, prompt: A, parameters: {resolution: [a]}}",
        "{id: one, model: wan2.7-i2v, media: {first_frame: 'http://[::1'}}",
        '{id: one, model: wan2.7-i2v, media: {first_frame: "a\\0b.png"}}',
        "{id: one, model: wan2.7-i2v, media: {first_frame: '" + "x" * 300 + ".png'}}",
        "{id: one, model: wan2.7-i2v, media: [{type: first_frame, url: 'https://x.example/a.png', reference_voice: 'https://x.example/a.mp3'}]}",
    ],
)
def test_odd_input_is_a_problem_with_a_place_and_no_crash(read, shot):
    with pytest.raises(ManifestError) as found:
        read(f"shots: [{shot}]\n")
    assert all(problem.place.line == 2 for problem in found.value.problems)


def test_a_version_that_a_service_does_not_list_is_warned_of(read):
    shot = "shots: [{id: one, provider: aisa, model: wan2.7-t2v-2026-04-25, prompt: A}]\n"
    assert [problem.code for problem in read(shot).problems] == ["W303"]


def test_a_clip_does_not_go_out_as_a_bare_url(read):
    with pytest.raises(ManifestError, match="bare URLs"):
        read("provider: aisa\nshots: [{id: one, model: wan2.7-i2v, media: {first_clip: 'https://x.example/a.mp4'}}]\n")


def test_inline_pictures_are_held_against_the_models_limits(read):
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(buffer, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    with pytest.raises(ManifestError) as found:
        read(f"shots: [{{id: one, model: wan2.7-i2v, media: {{first_frame: '{uri}'}}}}]\n")
    assert {problem.code for problem in found.value.problems} == {"E404", "E408"}
    with pytest.raises(ManifestError, match="data: URI"):
        read("shots: [{id: one, model: wan2.7-i2v, media: {first_frame: 'data:text/html;base64,aGFsbG8='}}]\n")


def test_one_file_may_be_a_bad_reference_and_a_good_document(read, tmp_path):
    (tmp_path / "doc.pdf").write_bytes(b"%PDF-1.4\n")
    text = "shots:\n- {id: a, model: wan3.0-video, prompt: A, media: {references: [doc.pdf]}}\n- {id: b, model: wan3.0-video, prompt: A, media: {file: doc.pdf}}\n"
    with pytest.raises(ManifestError) as found:
        read(text)
    assert {problem.shot for problem in found.value.problems} == {"a"}


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "localhost"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_link_into_this_machine_is_refused_however_it_is_written(host, backend):
    async def main():
        profile = catalog.load().providers["aisa"]
        async with Client(profile, ["https://api.aisa.one/apis/v1"], "k") as client:
            with pytest.raises(Refused, match="private network"):
                async with client.download(f"http://{host}:9/x"):
                    pass

    anyio.run(main, backend=backend)
    assert realm("127.0.0.1") == "this machine"


def test_unknown_must_be_borne_at_least_as_long_as_the_profile_says(read):
    with pytest.raises(ManifestError, match="beyond the profile"):
        read("providers: {qwencloud: {poll: {unknown_for: 0.001}}}\n")
    assert (
        read("providers: {qwencloud: {poll: {unknown_for: 6000}}}\n").catalog.providers["qwencloud"].pace("unknown_for") == 6000
    )


def test_a_take_of_unknown_price_is_not_forgotten_by_a_later_cap(read):
    manifest = read("provider: apiyi\nbudget: {USD: 1}\n")
    entry = Entry(
        state="saved",
        provider="apiyi",
        attempts=(Attempt(id="a", account="apiyi:1", task_id="t", ended_at="2026-11-21T00:00:00Z"),),
    )
    with pytest.raises(Refused, match="no known price"):
        gates.check_spending(runner.decide(manifest, Lock()), Lock(takes={"old@1": entry}), Caps(), {})


def test_a_key_is_for_a_host_however_it_is_spelt():
    assert is_at("https://api.aisa.one/x", ["https://API.aisa.one:443/apis/v1"])
    assert not is_at("http://api.aisa.one/x", ["https://api.aisa.one/apis/v1"])
    assert not is_at("https://api.aisa.one.evil.example/x", ["https://api.aisa.one/apis/v1"])


def test_broken_addresses_from_the_environment_break_no_other_manifest(read):
    assert read("provider: studio\n", AISA_BASE_URL="https://[::1").shots
    assert not providers.is_trusted(catalog.load().providers["yutoai"], ())


@pytest.mark.parametrize(
    ("reference", "kind"),
    [("a.MP4", "video"), ("a.jpeg?x=1", "image"), ("a.mp3#t", "audio")],
)
def test_what_a_link_is_does_not_depend_on_the_machine(read, reference, kind):
    shot = f"shots: [{{id: one, model: wan3.0-video, prompt: A, media: {{references: ['https://x.example/{reference}']}}}}]\n"
    assert read(shot).shots[0].media[0].kind == kind


# What could be broken without a test noticing


def test_a_shape_other_than_asked_is_remarked():
    model = catalog.load().models["wan2.7-t2v"]
    facts = {"width": 720, "height": 1280, "seconds": 5.0, "fps": 30.0, "sound": True}
    assert remarks(model, {"resolution": "720P", "ratio": "16:9"}, 5, facts) == ["asked for 16:9, is 720×1280"]  # noqa: RUF001
    assert remarks(model, {"resolution": "720P", "ratio": "9:16"}, 5, facts) == []
    assert remarks(model, {"resolution": "720P", "ratio": "9:16"}, 4, facts) == ["asked for 4 s, lasts 5 s"]
    assert remarks(catalog.load().models["wan2.6-t2v"], {"size": "1280*720"}, 5, facts) == ["asked for 1280×720, is 720×1280"]  # noqa: RUF001


def _video(path, seconds):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(16))
        stream.width, stream.height, stream.pix_fmt = 640, 400, "yuv420p"
        for _ in range(16 * seconds):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (640, 400), "teal"))))
        out.mux(stream.encode())


def test_seconds_together_are_counted(read, tmp_path):
    _video(tmp_path / "a.mp4", 8)
    _video(tmp_path / "b.mp4", 7)
    shot = "shots: [{id: one, model: wan3.0-video, prompt: A, media: {references: [a.mp4%s]}, parameters: {duration: %d}}]\n"
    assert read(shot % ("", 22)).shots
    with pytest.raises(ManifestError, match=r"31\.00 s with the 23 s"):
        read(shot % ("", 23))
    assert read(shot % (", b.mp4", 15)).shots
    with pytest.raises(ManifestError, match=r"16\.00 s together"):
        read(shot % (", a.mp4", 5))


def test_a_video_that_follows_its_input_is_no_longer_than_the_service_makes_it(read, tmp_path):
    _video(tmp_path / "long.mp4", 20)
    shot = "shots: [{id: one, model: happyhorse-1.0-video-edit, prompt: A, media: {video: long.mp4}}]\n"
    manifest = read(shot)
    assert manifest.shots[0].seconds == 15
    assert "W407" in {problem.code for problem in manifest.problems}


def test_an_upload_beyond_the_services_limit_is_said_before(read, tmp_path, monkeypatch):
    Image.effect_noise((5000, 5000), 90).save(tmp_path / "huge.png")
    shot = "provider: yutoai\nshots: [{id: one, model: wan2.5-i2v-preview, media: {first_frame: huge.png}}]\n"
    with pytest.raises(ManifestError, match="the most is"):
        read(shot, YUTOAI_BASE_URL="http://127.0.0.1:1")
    medium = Medium(
        role="first_frame", form="file", value="x.mp3", identity="", bytes=21 << 20, kind="audio", rule={"accepts": ["http"]}
    )
    assert "at most 20.0 MB" in way(catalog.load().providers["yutoai"], medium).message


def test_an_uploaded_copy_is_bound_to_its_account_and_model_and_dies(tmp_path):
    path = tmp_path / "uploads.json"
    UploadCache(path, "qwencloud:1").put("sha256:a", "wan2.7-i2v", "oss://a", until=100, now=0)
    again = UploadCache(path, "qwencloud:1")
    assert again.get("sha256:a", "wan2.7-i2v", now=99) == "oss://a"
    assert again.get("sha256:a", "wan2.7-i2v", now=101) is None
    assert again.get("sha256:a", "wan2.6-i2v", now=99) is None
    assert again.get("sha256:b", "wan2.7-i2v", now=99) is None
    assert UploadCache(path, "qwencloud:2").get("sha256:a", "wan2.7-i2v", now=99) is None
    path.write_text("[broken")
    assert UploadCache(path, "qwencloud:1").get("sha256:a", "wan2.7-i2v", now=99) is None


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Redirects everything to the other server, which notes the headers that arrive."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.server.target:
            self.send_response(302)
            self.send_header("Location", self.server.target + self.path)
            self.send_header("Content-Length", "0")
        else:
            self.send_response(200)
            self.send_header("Content-Length", "2")
        self.end_headers()
        if not self.server.target:
            self.wfile.write(b"ok")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def two_hosts():
    """Base URLs of a server that redirects and of the one it redirects to, and what each has seen."""
    servers = []
    for _ in range(2):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
        server.seen, server.target = [], ""
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    first, second = servers
    first.target = f"http://localhost:{second.server_port}"
    yield f"http://127.0.0.1:{first.server_port}", first, second
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_the_key_does_not_follow_a_redirect_to_another_host(two_hosts, header):
    url, first, second = two_hosts

    async def main():
        spec = {**catalog.load().providers["opeai"].spec, "auth": {"scheme": "bare", "header": header, "env": "OPEAI_API_KEY"}}
        async with Client(catalog.provider_of(spec), [url], "sk-the-key-000000") as client:
            async with client.download(f"{url}/content", key=True) as response:
                assert response.status_code == 200
            reply = await client.post_form(f"{url}/v1/files", {}, ("a.png", b"x"), key=True)
            assert reply.status == 302, "an upload follows no redirect"

    anyio.run(main)
    assert first.seen[0][1][header] == "sk-the-key-000000"
    assert [path for path, _ in second.seen] == ["/content"]
    assert "sk-the-key-000000" not in str(second.seen)
