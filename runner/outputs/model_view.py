"""A model → what a person wants to know of it: fields, media, rules, warnings, who offers it and for how much."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from runner.catalog import Model, Provider
from runner.fit import mega
from runner.outputs.catalogue import WIDTH, fact_lines, price, prices_of, tiers

_KINDS = {"image": "picture", "video": "video", "audio": "sound", "document": "document", "page": "web page"}
_FORMS = {"http": "URL", "oss": "oss://", "data": "data: URI"}
_PARTS = ("media", "parameters")
_BILLS = {
    "output": "the seconds that come out",
    "input and output": "the seconds that come out and those of {}",
    "output, perhaps input": "the seconds that come out; whether those of {} too is unknown",
}


def model_lines(model: Model, providers: Iterable[Provider]) -> Iterator[str]:
    """The whole view."""
    about = model.about
    yield f"{click.style(model.id, bold=True)}: {about['makes']}"
    yield from textwrap.wrap(str(model.schema.get("description", "")), WIDTH)
    yield ""
    yield from fact_lines([*_texts(model), *_media(model), *_parameters(model)])
    parts = (("rules", rules(model)), ("warned of", _warnings(model)), ("notes", _notes(about)))
    for title, lines in parts:
        yield from _block(title, lines)
    yield ""
    yield from fact_lines(_about(model))
    yield ""
    yield from fact_lines(_offers(model, providers))
    yield ""
    yield from fact_lines([("checked", f"{about.get('checked', 'unknown')}, against: {'; '.join(about.get('sources', ()))}")])


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield from fact_lines([(title if number == 0 else "", line) for number, line in enumerate(lines)])


def _texts(model: Model) -> Iterator[tuple[str, str]]:
    fields = model.schema["properties"]
    for name in ("prompt", "negative_prompt"):
        if name not in fields:
            yield name, "none"
            continue
        needed = "needed; " if name in model.schema.get("required", ()) else ""
        cut = fields[name].get("x-cut-at")
        double = ", a Chinese one counting twice" if fields[name].get("x-cjk-counts") == 2 else ""
        yield name, f"{needed}cut silently beyond {cut} characters{double}" if cut else f"{needed}no limit is known"


def _media(model: Model) -> Iterator[tuple[str, str]]:
    needed = model.schema["properties"].get("media", {}).get("required", ())
    for role, rule in model.roles.items():
        mark = "needed; " if role in needed else ""
        if "x-items" not in rule:
            yield f"media.{role}", f"{mark}{medium(rule.get('x-media', {}))}"
            continue
        least, most = rule.get("minItems", 0), rule.get("maxItems", "any number")
        yield f"media.{role}", f"{mark}an ordered list of {most if least == most else f'{least} to {most}'}:"
        for item in rule["x-items"].values():
            together = f", {item['seconds']} s together" if "seconds" in item else ""
            yield "", f"at most {item.get('most', most)}{together}, each a {medium(item.get('x-media', {}))}"
        if voice := rule.get("x-voice"):
            yield "", f"each with or without a voice, a {medium(voice.get('x-media', {}))}"


def medium(rule: Mapping[str, Any]) -> str:
    """What a medium must be, and in which forms it is taken."""
    kind = _KINDS.get(str(rule.get("kind")), "medium")
    parts = [f"{kind} ({', '.join(rule['formats'])})" if rule.get("formats") else kind]
    parts += [
        f"{what} {span}"
        for what, span in (("sides", _span(rule, "side", " px")), ("lasting", _span(rule, "seconds", " s")))
        if span
    ]
    if "safe_side" in rule:
        parts.append(f"older pages say {_span(rule, 'safe_side', ' px')}")
    if ratio := rule.get("ratio"):
        parts.append(f"ratio {_ratio(ratio[0])} to {_ratio(ratio[1])}")
    if rule.get("alpha") is False:
        parts.append("no transparency")
    if "least_fps" in rule:
        parts.append(f"at least {rule['least_fps']:g} frames a second")
    if "bytes" in rule:
        parts.append(f"at most {mega(rule['bytes'])}")
    if "cut_to" in rule:
        cut = rule["cut_to"]
        parts.append(f"cut silently to {'the duration' if cut == 'duration' else f'{cut:g} s'}")
    if rule.get("part_of") == "duration":
        parts.append("its seconds count in the duration")
    forms = [_FORMS[form] for form in rule.get("accepts", ())]
    forms += [f"{_FORMS[form]} (no source says so)" for form in rule.get("unsure", ())]
    return ", ".join(parts) + (f"; as {', '.join(forms)}" if forms else "")


def _span(rule: Mapping[str, Any], name: str, unit: str) -> str:
    least, most = rule.get(name) or (None, None)
    if least is None and most is None:
        return ""
    if least is None or most is None:
        return f"at most {most}{unit}" if least is None else f"at least {least}{unit}"
    return f"{least}-{most}{unit}"


def _ratio(value: float | None) -> str:
    if value is None:
        return "any"
    return f"1:{1 / value:g}" if value < 1 else f"{value:g}:1"


def _parameters(model: Model) -> Iterator[tuple[str, str]]:
    needed = model.schema["properties"].get("parameters", {}).get("required", ())
    for name, rule in model.parameters.items():
        mark = "needed; " if name in needed else ""
        default = f"; {_shown(rule['default'])} where absent" if "default" in rule else ""
        said = f". {rule['description']}" if "description" in rule else ""
        yield f"parameters.{name}", f"{mark}{_values(rule)}{default}{said}"


def _values(rule: Mapping[str, Any]) -> str:
    if "x-tiers" in rule:
        return "; ".join(f"{tier}: {', '.join(sizes)}" for tier, sizes in rule["x-tiers"].items())
    if "enum" in rule:
        return ", ".join(_shown(item) for item in rule["enum"])
    if "minimum" in rule and "maximum" in rule:
        return f"{rule['minimum']} to {rule['maximum']}"
    if "minimum" in rule or "maximum" in rule:
        return f"at least {rule['minimum']}" if "minimum" in rule else f"at most {rule['maximum']}"
    words = {"boolean": "true or false", "string": "text", "array": "a list", "integer": "a whole number"}
    return words.get(str(rule.get("type")), str(rule.get("type", "anything")))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def rules(model: Model) -> list[str]:
    """What the fields of a shot must be to each other."""
    parts = (model.schema, *(model.schema["properties"].get(name, {}) for name in _PARTS))
    found = [rule for part in parts for rule in _together(part)]
    for entry in model.schema.get("allOf", ()):
        case = entry.get("then", {})
        why = str(case.get("x-why", "in some cases"))
        found += [f"{why}: {demand}" for demand in dict.fromkeys(_demands(case, ""))]
    return found


def _together(rule: Mapping[str, Any]) -> Iterator[str]:
    """The keywords that judge several fields at once."""
    for key, others in rule.get("dependentRequired", {}).items():
        yield f"{key} only with {' and '.join(others)}"
    if "x-combinations" in rule:
        yield "these media go together: " + "; ".join(" + ".join(one) for one in rule["x-combinations"])
    if "x-one-of" in rule:
        yield f"at least one of {', '.join(rule['x-one-of'])} is needed"
    if "x-only" in rule:
        yield f"no media but {', '.join(rule['x-only'])}"
    for groups in rule.get("x-excludes", ()):
        yield f"{' or '.join(groups[0])} not together with {' or '.join(name for group in groups[1:] for name in group)}"
    for pair in rule.get("x-same-length", ()):
        yield f"{' and '.join(path.rpartition('/')[2] for path in pair)} have as many items"
    for total in rule.get("x-totals", ()):
        kind = f" ({_KINDS[total['kind']]}s)" if "kind" in total else ""
        plus = f" and {total['plus']}" if "plus" in total else ""
        yield f"{' and '.join(total['roles'])}{kind}{plus} at most {total['seconds']} s together"


def _demands(rule: Mapping[str, Any], name: str) -> Iterator[str]:
    """A subschema of one case in words; `name` is the field it judges."""
    parts = rule.get("properties", {})
    # A part of the shot is there when something in it is asked for.
    lacking = [key for key in rule.get("required", ()) if not (key in parts and key in _PARTS)]
    if lacking:
        yield f"{', '.join(lacking)} needed"
    yield from _together(rule)
    yield from _limits(rule, name)
    for key, inner in parts.items():
        yield from _demands(inner, key)


def _limits(rule: Mapping[str, Any], name: str) -> Iterator[str]:
    words = {"maximum": "at most", "minimum": "at least", "maxItems": "at most", "minItems": "at least"}
    for key, word in words.items():
        if key in rule:
            yield f"{name} {word} {rule[key]}"
    if "const" in rule:
        yield f"{name} must be {_shown(rule['const'])}"
    if "enum" in rule:
        yield f"{name} one of {', '.join(_shown(item) for item in rule['enum'])}"


def _warnings(model: Model) -> list[str]:
    said = ((one["says"], one.get("hint")) for one in model.schema.get("x-warnings", ()))
    return [f"{fact} ({hint})" if hint else str(fact) for fact, hint in said]


def _notes(about: Mapping[str, Any]) -> list[str]:
    notes = [str(note) for note in about.get("notes", ())]
    if retired := about.get("retirement"):
        notes.insert(0, f"retired on {retired['date']} ({retired['confidence']}): {retired.get('note', '')}")
    return notes


def _about(model: Model) -> Iterator[tuple[str, str]]:
    about = model.about
    yield "sound", str(about.get("sound", "unknown"))
    yield "frame rate", f"{about['fps']} a second" if about.get("fps") else "unknown"
    if about.get("follows"):
        yield "shape", f"that of {about['follows']}"
    billed = " and ".join(about.get("billed_roles", ())) or "the input"
    yield "billed", _BILLS.get(str(about.get("bills")), "unknown").format(f"videos in {billed}")
    yield "regions", ", ".join(about.get("regions", ())) or "unknown"
    yield "other names", ", ".join(model.names[1:]) or "none"


def _offers(model: Model, providers: Iterable[Provider]) -> Iterator[tuple[str, str]]:
    """Every service that has it, with its prices; of a price that knows fewer sizes than the model the rest is unknown."""
    name = "offered by"
    for one in providers:
        if not one.offers(model):
            continue
        known = prices_of(one, model)
        if one.free:
            said = ["free"]
        else:
            said = [price(each) for each in known] or ["price unknown"]
            lacking = [tier for tier in tiers(model) if known and not any(tier in each.per_second for each in known)]
            said += [f"price of {', '.join(lacking)} unknown"] if lacking else []
        for text in said:
            yield name, f"{one.name}: {text}"
            name = ""
    if name:
        yield name, "no service of the catalogue"
