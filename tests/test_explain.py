"""Our words for the services' errors."""

from __future__ import annotations

import pytest

from runner import catalog, explain, source


def words(code, message="", model="wan2.7-i2v", **more):
    return explain.hint({"code": code, "message": message, "billed": False, **more}, catalog.load().models[model])


@pytest.mark.parametrize(
    ("code", "message", "model", "says"),
    [
        ("DataInspectionFailed", "Input data may contain inappropriate content.", "wan2.7-t2v", "moderation"),
        ("InvalidParameter", "duration must be one of 2, 3", "wan2.7-t2v", "it names parameters.duration"),
        ("InvalidParameter", "size must be in 1280*720", "wan2.6-t2v", "it names parameters.size"),
        ("InvalidParameter", "input.img_url is required", "wan2.6-i2v", "it names media.first_frame"),
        ("InvalidParameter", "input.media is required", "wan2.7-i2v", "it names media"),
        ("InvalidFile.Duration", "the audio_url is too long", "wan2.6-t2v", "it names media.driving_audio"),
        ("InvalidParameter", "the prompt is empty", "wan2.7-t2v", "it names prompt"),
        ("InternalError.Algo", "x", "wan2.7-t2v", "own trouble"),
    ],
)
def test_a_code_is_explained_and_the_field_named_as_the_author_writes_it(code, message, model, says):
    assert says in words(code, message, model)
    assert words(code, message, model).endswith("not billed")


def test_what_nobody_knows_is_not_explained():
    assert words("SomethingNew", "it went wrong") is None
    assert words("SomethingNew", "bad seed") == "it names parameters.seed; not billed"


def test_a_lost_take_is_not_called_unbilled():
    assert "billed" not in (words("InternalError", billed=True) or "")


def test_every_code_that_a_profile_lists_is_explained():
    """Whatever a profile decides by code, a user may read: each has words of ours."""
    known = set()
    for provider in catalog.load().providers.values():
        known |= {rule.code for rule in provider.refused if rule.code}
        known |= set(provider.spec["failure"].get("retry", ()))
    unsaid = sorted(code for code in known if words(code.replace("*", "X")) is None)
    assert unsaid == ["ali_api_error"], "it wraps another code, which stands in its message"


def test_rows_are_told_apart():
    rows = source.read(catalog.SCHEMAS / "errors.yaml").data["errors"]
    codes = [code for row in rows for code in row["codes"]]
    assert len(codes) == len(set(codes))
    assert all(row.keys() <= {"codes", "says", "do"} for row in rows)
