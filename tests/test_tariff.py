"""What a take is expected to cost and what it did cost: input seconds, price lists by model, sound and mode."""

from __future__ import annotations

import wave
from fractions import Fraction

import av
import pytest
from PIL import Image

import runner
from runner import catalog, tariff
from runner.lock import Attempt, Entry
from runner.money import Money


@pytest.fixture
def step(tmp_path):
    """`step("{model: …}")` is the one step of a shot at Qwen Cloud in Beijing, with a clip of 4 s and a sound of 3 s at hand."""
    with av.open(str(tmp_path / "clip.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(16))
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for _ in range(64):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (640, 360), "teal"))))
        out.mux(stream.encode())
    with wave.open(str(tmp_path / "voice.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80" * 24_000)
    Image.new("RGB", (1280, 720), "navy").save(tmp_path / "a.png")

    def make(shot, region="cn", provider="qwencloud", extra=""):
        path = tmp_path / "film.callsheet.yaml"
        about = f"providers: {{qwencloud: {{region: {region}{extra}}}}}\n" if provider == "qwencloud" else ""
        said = "" if "s2v" in shot or "animate" in shot else "prompt: A pier, "
        path.write_text(f"callsheet: 1\nprovider: {provider}\n{about}shots:\n  - {{id: one, {said}{shot}}}\n")
        manifest = runner.read(path, environ={})
        return runner.decide(manifest, runner.known(manifest)).steps[0]

    return make


@pytest.mark.parametrize(
    ("shot", "seconds", "amount"),
    [
        ("model: wan2.7-t2v, parameters: {resolution: 720P, duration: 5}", 5, "3.00"),
        ("model: wan2.7-t2v, parameters: {duration: 5}", 5, "5.00"),
        ("model: wan2.6-i2v-flash, media: {first_frame: a.png}, parameters: {duration: 10}", 10, "5.00"),
        ("model: wan2.6-i2v-flash, media: {first_frame: a.png}, parameters: {duration: 10, audio: false}", 10, "2.50"),
        ("model: wan2.7-r2v, media: {references: [clip.mp4]}, parameters: {duration: 6, resolution: 720P}", 6, "6.00"),
        ("model: wan2.7-r2v, media: {references: [a.png]}, parameters: {duration: 6, resolution: 720P}", 6, "3.60"),
        ("model: wan2.7-videoedit, media: {video: clip.mp4}, parameters: {resolution: 720P}", 4, "4.80"),
        ("model: wan2.7-videoedit, media: {video: clip.mp4}, parameters: {resolution: 720P, duration: 2}", 2, "3.60"),
        ("model: wan2.7-i2v, media: {first_clip: clip.mp4}, parameters: {resolution: 720P, duration: 10}", 10, "8.40"),
        ("model: wan2.2-s2v, media: {image: a.png, driving_audio: voice.wav}, parameters: {resolution: 720P}", 3, "2.70"),
        ("model: wan2.2-animate-mix, media: {image: a.png, video: clip.mp4}, parameters: {mode: wan-pro}", 4, "4.80"),
        ("model: wan2.2-animate-mix, media: {image: a.png, video: clip.mp4}, parameters: {mode: wan-std}", 4, "2.40"),
    ],
)
def test_what_is_billed_is_priced(step, shot, seconds, amount):
    one = step(shot)
    assert one.seconds == seconds
    assert one.cost.said()["amount"] == amount
    assert one.cost.currency == "CNY"


@pytest.mark.parametrize(
    "shot",
    [
        "model: wan2.7-r2v, media: {references: [{video: 'https://x.example/a.mp4'}]}, parameters: {duration: 6}",
        "model: wan2.7-videoedit, media: {video: 'https://x.example/a.mp4'}",
        "model: wan3.0-video, parameters: {duration: -1}",
        "model: wan2.7-t2v, unchecked: {parameters: {turbo: true}}",
        "model: wan3.0-video, parameters: {duration: 5}",
    ],
)
def test_what_nobody_can_know_has_no_price(step, shot):
    """A link's length, a length that the model decides, unchecked parameters, a model without a list price in Beijing."""
    assert step(shot).cost is None


def test_an_unknown_price_under_a_money_cap_is_refused_and_says_what_to_write(step, tmp_path):
    import anyio

    from runner.errors import Refused

    step("model: wan2.7-t2v, unchecked: {parameters: {turbo: true}}")
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(path.read_text() + "budget: {CNY: 100}\n")
    manifest = runner.read(path, environ={})
    with runner.hold(manifest) as held, pytest.raises(Refused, match="no known price") as refused:
        anyio.run(runner.run, runner.decide(manifest, held.lock), held)
    assert "prices:" in refused.value.hint


def test_a_manifests_own_price_counts_where_it_is_the_dearer(step):
    dear = ", prices: [{models: [wan2.7-t2v], currency: CNY, per_second: {720P: '2'}}]"
    cheap = ", prices: [{models: [wan2.7-t2v], currency: CNY, per_second: {720P: '0.01'}}]"
    shot = "model: wan2.7-t2v, parameters: {resolution: 720P, duration: 5}"
    assert step(shot, extra=dear).cost.said()["amount"] == "10.00"
    assert step(shot, extra=cheap).cost.said()["amount"] == "3.00"


def test_regions_have_their_own_currency_and_the_studio_is_free(step):
    shot = "model: wan2.7-t2v, parameters: {resolution: 720P, duration: 5}"
    assert step(shot, region="intl").cost.said()["currency"] == "USD"
    assert step(shot, provider="studio").cost == tariff.FREE


def test_the_bill_is_by_the_replys_own_seconds_and_tier():
    provider = catalog.load().providers["apiyi"]
    model = catalog.load().models["wan2.7-t2v"]
    reserved = Money(micros=1, currency="USD", basis="plan")
    entry = Entry(state="submitted", attempts=(Attempt(id="a", reserved=reserved),))
    assert tariff.charged(provider, model, entry, {"duration": 7.5, "SR": 1080}).said()["amount"] == "1.05"
    assert tariff.charged(provider, model, entry, {"duration": 7.5}) == reserved
    assert tariff.charged(provider, model, entry, {}) == reserved
    assert tariff.charged(catalog.load().providers["aisa"], model, entry, {"duration": 7.5, "SR": 720}) == reserved
