"""The catalogue as people read it: `models`, `providers` and the README's tables say all that the files say, and what is unknown."""

from __future__ import annotations

import json
import re

import click
import pytest

from runner import catalog
from runner.cli import code
from runner.outputs import catalogue
from runner.outputs.model_view import model_lines, rules
from runner.outputs.provider_view import provider_lines

KNOWN = catalog.load()
MODELS = catalogue.models(KNOWN)
SERVICES = list(KNOWN.providers.values())
by_id = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
by_name = pytest.mark.parametrize("provider", SERVICES, ids=lambda provider: provider.name)


def text(lines):
    """What is said, without colours, columns and line breaks."""
    return " ".join(click.unstyle("\n".join(lines)).split())


def of_model(name):
    return text(model_lines(KNOWN.models[name], SERVICES))


def of_provider(name):
    return text(provider_lines(KNOWN.providers[name], MODELS))


def altered(name, **changes):
    """A provider with other parts in its profile; None takes a part away."""
    spec = {**KNOWN.providers[name].spec, **changes}
    return catalog.provider_of({part: value for part, value in spec.items() if value is not None})


def flat(words):
    return " ".join(str(words).split())


@pytest.mark.parametrize(
    ("verb", "names"), [("models", [one.id for one in MODELS]), ("providers", [one.name for one in SERVICES])]
)
def test_a_list_is_one_line_an_item_and_fits_100_columns(verb, names, capsys):
    assert code([verb]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == names
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("args", [["models", one.id] for one in MODELS] + [["providers", one.name] for one in SERVICES])
def test_a_view_fits_100_columns_but_for_words_that_cannot_be_broken(args, capsys):
    assert code(args) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if len(line) > 100 and " " in line.strip()] == []
    assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|[{\[]'", said), "Python's words, not a person's"


@by_id
def test_a_model_shows_its_fields_media_and_warnings(model):
    said = of_model(model.id)
    fields = model.schema["properties"]
    for name, rule in model.parameters.items():
        assert f"parameters.{name} " in said
        assert flat(rule["description"]) in said
    for role, rule in model.roles.items():
        assert f"media.{role} " in said
        for item in rule.get("x-items", {"": rule}).values():
            assert ", ".join(item["x-media"].get("formats", ())) in said
    for name in ("prompt", "negative_prompt"):
        limit = fields.get(name, {}).get("x-cut-at")
        assert f"{name} none" in said if name not in fields else str(limit or "no limit is known") in said
    for warning in model.schema.get("x-warnings", ()):
        assert flat(warning["says"]) in said
    for words in (*model.about["notes"], *model.about["sources"], *model.names):
        assert flat(words) in said


@by_id
def test_no_rule_of_a_model_is_left_out(model):
    """Each case has words: a keyword that the view does not know would leave its case empty."""
    told = rules(model)
    for entry in model.schema.get("allOf", ()):
        assert any(rule.startswith(entry["then"]["x-why"]) for rule in told), entry
    media = model.schema["properties"].get("media", {})
    for parts, least in (("x-combinations", 1), ("x-excludes", 1), ("x-totals", 1), ("dependentRequired", 1)):
        assert parts not in media or len(told) >= least
    known = {"x-combinations", "x-one-of", "x-excludes", "x-totals", "x-same-length", "x-warnings", "x-model"}
    assert {key for part in (model.schema, media) for key in part if key.startswith("x-")} <= known


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("wan2.7-i2v", "first_frame + last_frame + driving_audio"),
        ("wan2.7-r2v", "duration at most 10"),
        ("wan3.0-video", "first_frame or last_frame not together with references or file or link"),
        ("wan3.0-video", "last_frame only with first_frame"),
        ("wan3.0-video", "at least one of prompt, media is needed"),
        ("wan3.0-video", "references (videos) and duration at most 30 s together"),
        ("wan3.0-video", "prompt_extend must be true"),
        ("wanx2.1-vace-plus", "with function video_repainting: no media but video, references"),
        ("wanx2.1-vace-plus", "with function video_repainting: control_condition needed"),
        ("wanx2.1-vace-plus", "references and obj_or_bg have as many items"),
        ("wanx2.1-vace-plus", "first_clip and last_clip at most 3 s together"),
    ],
)
def test_a_rule_reads_like_this(name, rule):
    assert flat(rule) in of_model(name)


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("wan2.7-t2v", "2-15"),
        ("wan2.5-t2v-preview", "5, 10"),
        ("wan2.2-s2v", "as the sound"),
        ("wan2.2-animate-mix", "as the video"),
        ("wan2.7-videoedit", "2-10 or as the video"),
        ("wan3.0-video", "2-30 or the model's choice"),
        ("happyhorse-1.0-video-edit", "as the video, at most 15"),
    ],
)
def test_the_seconds_of_a_model(name, length):
    assert catalogue.length(KNOWN.models[name]) == length


@by_id
def test_a_model_says_who_offers_it_and_for_how_much(model):
    said = of_model(model.id)
    for provider in SERVICES:
        if not provider.offers(model):
            assert f"{provider.name}: " not in said.split("offered by")[1]
        elif provider.free:
            assert f"{provider.name}: free" in said
        else:
            prices = catalogue.prices_of(provider, model)
            assert prices or f"{provider.name}: price unknown" in said
            for price in prices:
                assert f"{provider.name}: {flat(catalogue.price(price))}" in said


def test_a_price_says_its_currency_region_date_and_whether_it_is_verified():
    said = of_model("wan2.7-t2v")
    assert "720P 0.10, 1080P 0.15 USD a second in intl (2026-11-21, unverified)" in said
    assert "(2026-06, unverified)" in said
    assert "audio false" in of_model("wan2.6-i2v-flash")


def test_a_tier_without_a_price_is_unknown():
    price = {
        "models": ["wan2.7-t2v"],
        "currency": "USD",
        "per_second": {"720P": "0.10"},
        "source": "a page",
        "date": "2026-11-21",
    }
    said = text(model_lines(KNOWN.models["wan2.7-t2v"], [altered("qwencloud", prices=[price])]))
    assert "qwencloud: price of 1080P unknown" in said


@by_name
def test_a_provider_shows_what_its_profile_says(provider):
    said = of_provider(provider.name)
    spec = provider.spec
    paths = [spec["submit"]["path"], spec["poll"]["path"], spec["result"].get("content", {}).get("path", "")]
    hosts = [url for region in spec.get("regions", {}).values() for url in region.values()]
    words = [*spec.get("notes", ()), *spec.get("unknown", ()), *spec["sources"], *(rule.why or "" for rule in provider.refused)]
    prices = [*(price.source for price in provider.prices), *(price.date for price in provider.prices)]
    every = [*paths, *hosts, *provider.base_urls, *provider.hosts, *provider.words, *spec["failure"].get("retry", ()), *words]
    for word in [*every, *prices, provider.env or "none", spec["checked"]]:
        assert flat(word) in said
    for rule in provider.refused:
        assert f"HTTP {rule.status}" in said or rule.status is None
        assert (rule.code or "") in said


def test_refusals_stand_under_what_follows_from_them():
    refused = [
        {"status": 400, "code": "Arrearage", "stop": True, "why": "the account is unpaid"},
        {"status": 429, "message": "slow", "retry": True},
        {"status": 400},
    ]
    said = text(provider_lines(altered("aisa", submit={**KNOWN.providers["aisa"].spec["submit"], "refused": refused}), MODELS))
    for words in (
        "refused the take has failed: HTTP 400 tried again later: HTTP 429 saying /slow/",
        "no more submits to this account: HTTP 400 Arrearage (the account is unpaid) the first that fits counts",
    ):
        assert words in said


def test_what_a_service_wants_otherwise_is_said():
    own = {
        "paths": [{"models": ["wan2.2-*"], "path": "/other"}],
        "drop": [{"models": ["wan2.7-*"], "fields": ["/parameters/shot_type"]}],
        "coerce": {"/parameters/resolution": "upper", "/parameters/duration": "string"},
    }
    said = text(provider_lines(altered("apiyi", submit={**KNOWN.providers["apiyi"].spec["submit"], **own}), MODELS))
    assert "POST /other for wan2.2-* without /parameters/shot_type for wan2.7-*" in said
    assert "/parameters/resolution as upper case /parameters/duration as string" in said


@by_name
def test_a_provider_lists_the_models_that_it_offers_and_no_other(provider):
    listed = of_provider(provider.name).split(f" of {len(MODELS)}: ")[1]
    listed = re.match(r"(?:[\w.-]+, )*[\w.-]+", listed)[0].split(", ")
    assert listed == [model.id for model in MODELS if provider.offers(model)]


def test_what_is_unknown_is_said_to_be():
    assert "prices unknown" in text(provider_lines(altered("qwencloud", prices=[]), MODELS))
    limits = {"in_flight": 1, "submits_per_second": None}
    said = text(provider_lines(altered("qwencloud", limits=limits), MODELS))
    assert "1 task at once, unknown submits a second, unknown queries a second" in said
    said = text(provider_lines(altered("qwencloud", result={"url": ["/url"]}, sources=["a page"], checked=None), MODELS))
    assert "a task unknown, a link unknown" in said
    assert "checked unknown" in said
    assert "unknown: base_url is yours to give" in of_provider("yutoai")
    missing = [one.id for one in MODELS if not catalogue.prices_of(KNOWN.providers["qwencloud"], one)]
    assert missing
    assert f"unknown {', '.join(missing)}" in of_provider("qwencloud")


def test_how_local_media_go_is_told_apart():
    def ways(media, **upload):
        return catalogue.local_files(altered("qwencloud", media=media, upload={"path": "/uploads", **upload}))

    assert ways({"upload": "none"}) == "none: URLs only"
    assert ways({"upload": "none", "data_uri": {"images": True}}) == "pictures inline"
    assert ways({"upload": "none", "data_uri": {"images": True, "unsure": True}}) == "pictures inline (no source says so)"
    both = {"upload": "files", "data_uri": {"images": True, "below": 1_048_576}}
    assert ways(both, most=20_971_520) == "pictures inline up to 1.0 MB, the rest uploaded up to 20.0 MB"
    assert "{type, url}, bare URLs for wan2.7-i2v" in of_provider("aisa")


def test_the_tables_name_every_model_and_service_once():
    models, _, services = catalogue.section(KNOWN).partition("\n\n")
    assert sorted(re.findall(r"`([^`]+)`", models)) == sorted(model.id for model in MODELS)
    assert re.findall(r"^\| `([\w-]+)`", services, re.MULTILINE) == [one.name for one in SERVICES]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in [*models.splitlines(), *services.splitlines()]}
    assert widths == {7}
    row = next(line for line in models.splitlines() if "`wan2.7-i2v`" in line)
    assert row.split(" | ")[2:5] == ["2-15", "720P, 1080P", "first_frame, last_frame, driving_audio, first_clip"]
    assert {one.strip(" |") for one in row.split(" | ")[5].split(",")} == {
        one.name for one in SERVICES if not one.free and one.offers(KNOWN.models["wan2.7-i2v"])
    }


def test_the_section_is_renewed_between_its_markers_only():
    before = f"head\n{catalogue.BEGIN}\nold\n{catalogue.END}\ntail\n"
    after = catalogue.renewed(before)
    assert after.startswith("head\n")
    assert after.endswith("\ntail\n")
    assert "old" not in after
    assert catalogue.renewed(after) == after
    with pytest.raises(catalog.UsageError):
        catalogue.renewed("no markers")


def test_json_holds_the_files_as_they_are(capsys):
    assert code(["models", "wan2.7-i2v", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == KNOWN.models["wan2.7-i2v"].schema
    assert code(["providers", "qwencloud", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provider"] == "qwencloud"
    assert code(["models", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["models"]] == [model.id for model in MODELS]
