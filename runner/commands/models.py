"""`callsheet models`: the models, and what each accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from runner import catalog
from runner.catalog import Model
from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
from runner.outputs.text import table


@click.command("models")
@click.argument("name", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """List the video models, or show what one accepts.

    \b
      callsheet models
      callsheet models wan2.7-i2v
    """
    known = catalog.load().models
    if name and name not in known:
        raise UsageError(f'there is no model "{name}"', hint=suggestion(name, known))
    chosen = [known[name]] if name else sorted({model.id: model for model in known.values()}.values(), key=lambda model: model.id)
    if as_json:
        options.say_json(chosen[0].schema if name else [_brief(model) for model in chosen])
    else:
        for line in _shown(chosen[0]) if name else _list(chosen):
            click.echo(line)
    return 0


def _brief(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "names": list(model.names),
        "makes": model.about["makes"],
        "media": list(model.roles),
        "parameters": list(model.parameters),
    }


def _list(models: Iterable[Model]) -> Iterable[str]:
    rows = [
        [
            model.id,
            str(model.about["makes"]),
            _tiers(model),
            _range(model.parameters.get("duration", {})),
            ", ".join(model.roles) or "-",
        ]
        for model in models
    ]
    return table(rows, ("model", "makes", "sizes", "seconds", "media"))


def _tiers(model: Model) -> str:
    size = model.parameters.get("size", {})
    return ", ".join(size.get("x-tiers", {}) or model.parameters.get("resolution", {}).get("enum", ())) or "-"


def _range(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(str(item) for item in rule["enum"])
    if "minimum" in rule or "maximum" in rule:
        return f"{rule.get('minimum', '')}-{rule.get('maximum', '')}"
    return str(rule.get("const", rule.get("type", "-")))


def _shown(model: Model) -> Iterable[str]:
    fields = model.schema["properties"]
    yield f"{click.style(model.id, bold=True)}: {model.about['makes']}"
    yield str(model.schema.get("description", ""))
    yield ""
    required = set(model.schema.get("required", ()))
    rows = [
        [
            "prompt" if name == "prompt" else name,
            "needed" if name in required else "",
            f"at most {rule.get('x-cut-at', '?')} characters",
        ]
        for name, rule in fields.items()
        if name in {"prompt", "negative_prompt"}
    ]
    rows += [[f"media.{role}", "", _medium(rule.get("x-media", {}))] for role, rule in model.roles.items()]
    rows += [
        [
            f"parameters.{name}",
            f"default {rule['default']}" if "default" in rule else "",
            f"{_range(rule)}  {rule.get('description', '')}".strip(),
        ]
        for name, rule in model.parameters.items()
    ]
    yield from table(rows)
    combinations = fields.get("media", {}).get("x-combinations")
    if combinations:
        yield ""
        yield "media go together as: " + "; ".join(" + ".join(one) for one in combinations)
    yield ""
    yield f"regions: {', '.join(model.about.get('regions', ())) or 'unknown'}; sound: {model.about.get('sound', 'unknown')}; other names: {', '.join(model.names[1:]) or 'none'}"
    yield f"checked {model.about.get('checked', '?')} against: {'; '.join(model.about.get('sources', ()))}"


def _medium(rule: Mapping[str, Any]) -> str:
    parts = ["/".join(rule.get("formats", ()))]
    if "side" in rule:
        parts.append(f"sides {rule['side'][0]}-{rule['side'][1]} px")
    if "seconds" in rule:
        parts.append(f"{rule['seconds'][0]}-{rule['seconds'][1]} s")
    if "bytes" in rule:
        parts.append(f"at most {rule['bytes'] // 1_048_576} MB")
    return ", ".join(part for part in parts if part)
