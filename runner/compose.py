"""One shot's layers → a Shot: variables expanded, media opened, judged by its model's schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner import judge, layers, templates, verdict, ways
from runner.assets import Medium, Shelf
from runner.catalog import Catalog, Model, Provider
from runner.errors import Place
from runner.judge import Fault
from runner.layers import Layer
from runner.roles import Cast
from runner.shots import Shot, fingerprint, size_of
from runner.source import Map
from runner.stack import Broken, Notes, Stack
from runner.templates import TemplateError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes the shots of one manifest; problems go to `notes`."""

    catalog: Catalog
    notes: Notes
    shelf: Shelf
    variables: Map
    built_in: Mapping[str, Any]
    output: str
    output_place: Place
    provider: str | None
    top_provider: str | None
    top_place: Place

    def shot(self, rows: Sequence[Layer]) -> Shot | None:
        try:
            return _Shot(self, Stack(rows, notes=self.notes, shelf=self.shelf, variables=self.variables)).made()
        except Broken:
            return None


class _Shot:
    """The work on one shot; each step either yields its part or notes why not."""

    def __init__(self, by: Composer, stack: Stack) -> None:
        self.by = by
        self.stack = stack
        self.own = stack.own
        self.id = stack.id
        self.data = stack.data
        self.note = stack.note

    def made(self) -> Shot:
        self._check_id()
        self.stack.check_variables()
        model, model_name = self._model()
        provider = self._provider(model)
        prompt = self.stack.prompt()
        negative = self.stack.text("negative_prompt")
        dropped, parameters = self._parameters(model)
        texts = {name: text for name, text in (("prompt", prompt), ("negative_prompt", negative)) if text is not None}
        for name in [name for name in texts if name not in model.schema["properties"] and name not in self.own.data]:
            dropped = (*dropped, name)  # from an outer layer, as parameters are
            del texts[name]
        prompt, negative = texts.get("prompt"), texts.get("negative_prompt")
        cast = Cast(self.stack, model, self.by.shelf)
        wired = self._sized(model, parameters)
        unchecked = self.data.get("unchecked") or {}
        service = self.by.catalog.providers[provider]
        verdict.tell(self.stack, model, service, texts=texts, media=cast.shape, parameters=wired, unchecked=unchecked)
        cast.check(wired, self._ratio(wired))
        media = tuple(cast.media)
        self._check_ways(model, service, media)
        return Shot(
            id=self.id,
            place=self.own.data.place("id"),
            scene=self.data.get("scene"),
            model=model,
            model_name=model_name,
            provider=provider,
            prompt=prompt,
            negative_prompt=negative,
            media=media,
            parameters=parameters,
            wired=wired,
            unchecked=unchecked,
            takes=self.data.get("takes", 1),
            output=self._output(model_name, provider),
            dropped=dropped,
            fingerprint=fingerprint(
                model=model.id,
                prompt=prompt,
                negative_prompt=negative,
                media=media,
                parameters=parameters,
                unchecked=unchecked,
            ),
        )

    def _check_id(self) -> None:
        name = self.id.split(".")[0].casefold()
        if not _ID.fullmatch(self.id):
            hint = "letters, digits, dot, dash, underscore; it begins with a letter or digit and has at most 64"
            self.note(Fault(code="E202", path=(), message=f'"{self.id}" cannot be an id', hint=hint), "id")
            raise Broken
        if name in _DEVICES or self.id.endswith("."):
            self.note(
                Fault(code="E202", path=(), message=f'"{self.id}" cannot be a file name on Windows', hint="choose another id"),
                "id",
            )
            raise Broken

    def _model(self) -> tuple[Model, str]:
        name = self.data.get("model")
        models = self.by.catalog.models
        if name is None:
            self.note(
                Fault(
                    code="E102",
                    path=(),
                    message='"model" is missing',
                    hint="name one here or under defaults:, `callsheet models` lists them",
                )
            )
            raise Broken
        if name not in models:
            hint = judge.suggestion(str(name), models) or "`callsheet models` lists them"
            self.note(Fault(code="E301", path=(), message=f'unknown model "{name}"', hint=hint), "model")
            raise Broken
        return models[name], str(name)

    def _provider(self, model: Model) -> str:
        written = self.data.get("provider")
        name = self.by.provider or written or self.by.top_provider or "studio"
        providers = self.by.catalog.providers
        place = layers.place(self.stack.layers, ("provider",)) if written else self.by.top_place
        path = (*layers.origin(self.stack.layers, ("provider",)).path, "provider") if written else ("provider",)
        if name not in providers:
            self.by.notes.add(
                Fault(code="E302", path=(), message=f'unknown provider "{name}"', hint=judge.suggestion(name, providers)),
                place,
                path,
            )
            raise Broken
        provider = providers[name]
        if not provider.offers(model):
            offers = judge.suggestion(model.id, provider.models)
            self.note(Fault(code="E303", path=(), message=f'{name} does not offer "{model.id}"', hint=offers), "model")
        regions = model.about.get("regions", ())
        if provider.region and regions and provider.region not in regions:
            self.note(
                Fault(
                    code="E308",
                    path=(),
                    message=f'"{model.id}" is not offered in region {provider.region}',
                    hint=f"regions: {', '.join(regions)}",
                ),
                "model",
            )
        return str(name)

    def _parameters(self, model: Model) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The shot's parameters; those of outer layers that its model lacks are dropped."""
        known = set(model.parameters) | ({"resolution", "ratio"} if "size" in model.parameters else set())
        anywhere = {name for one in self.by.catalog.models.values() for name in one.parameters}
        kept: dict[str, Any] = {}
        dropped = []
        for name, value in (self.data.get("parameters") or {}).items():
            if name in known or layers.has(self.own, "parameters", name):
                kept[name] = self.stack.expanded(value, "parameters", name)
                continue
            dropped.append(name)
            if name not in anywhere:
                hint = judge.suggestion(name, sorted(known))
                self.note(
                    Fault(code="W102", path=(), message=f'no model has a parameter "{name}"; it is not sent', hint=hint),
                    "parameters",
                    name,
                    of_key=True,
                )
        return tuple(dropped), kept

    def _sized(self, model: Model, parameters: dict[str, Any]) -> dict[str, Any]:
        """Resolution and ratio → size, where the model asks for that."""
        asked = [name for name in ("resolution", "ratio") if name in parameters and name not in model.parameters]
        if "size" not in model.parameters or not asked:
            return parameters
        if "size" in parameters:
            nearer = [name for name in asked if layers.has(self.own, "parameters", name)]
            if layers.has(self.own, "parameters", "size") == bool(nearer):
                fault = Fault(
                    code="E307", path=(), message=f'"size" and "{asked[0]}" say the same thing twice', hint="keep one of them"
                )
                self.note(fault, "parameters", asked[0], of_key=True)
                raise Broken
            lost: list[str] = [] if nearer else [*asked]
            for name in lost or ("size",):
                parameters.pop(name)
            if lost:
                return parameters
        size = size_of(model, parameters.get("resolution"), parameters.get("ratio"))
        if size is None:
            tiers = model.parameters["size"].get("x-tiers", {})
            tiers_said = "; ".join(f"{tier}: {', '.join(sizes)}" for tier, sizes in tiers.items())
            said = " and ".join(f"{name} {judge.shown(parameters[name])}" for name in asked if name in parameters)
            self.note(
                Fault(code="E104", path=(), message=f"{said} is no size of {model.id}", hint=f"its sizes are {tiers_said}"),
                "parameters",
                asked[0],
            )
            raise Broken
        return {**{key: value for key, value in parameters.items() if key not in asked}, "size": size}

    def _ratio(self, wired: Mapping[str, Any]) -> str | None:
        """The shape that the storyboard asks for, also where this shot's model has no word for it."""
        ratio = (self.data.get("parameters") or {}).get("ratio")
        size = wired.get("size")
        return str(ratio) if isinstance(ratio, str) else size.replace("*", ":") if isinstance(size, str) else None

    def _check_ways(self, model: Model, provider: Provider, media: Sequence[Medium]) -> None:
        """Whether everything can get to the provider, said before anything is spent."""
        for medium in media:
            found = ways.way(provider, medium)
            if isinstance(found, Fault):
                self.note(found, "media", medium.role.partition("/")[0])
            elif (found == "inline" or medium.form == "data") and provider.spec["media"]["data_uri"].get("unsure"):
                message = f"no source says whether {provider.name} takes pictures inline, as this one would be sent"
                hint = "give its https:// URL, or try one shot before many"
                self.note(Fault(code="W411", path=(), message=message, hint=hint), "media", medium.role.partition("/")[0])
        items = [medium for medium in media if model.roles[medium.role.partition("/")[0]]["x-to"].endswith("/media/-")]
        if len(items) > 1 and provider.media_encoding(model) == "string":
            message = f"{provider.name} takes media as bare URLs, so that it cannot tell {len(items)} of them apart"
            hint = f"say media_encoding: object under providers: {provider.name}: if it takes objects after all"
            self.note(Fault(code="E309", path=(), message=message, hint=hint), "media")

    def _output(self, model: str, provider: str) -> str:
        words = {**self.by.built_in, "shot": self.id, "scene": self.data.get("scene") or "", "model": model, "provider": provider}
        try:
            text = str(templates.expand(self.by.output, {**self.stack.variables, **words}))
        except TemplateError as error:
            self.by.notes.add(Fault(code="E203", path=(), message=error.fact, hint=error.hint), self.by.output_place, ("output",))
            raise Broken from None
        parts = text.split("/")
        if (
            text.startswith("/")
            or "\\" in text
            or ".." in parts
            or ":" in parts[0]
            or any(part.startswith(".") for part in parts)
        ):
            fault = Fault(
                code="E410",
                path=(),
                message=f'the output "{text}" leads out of the manifest\'s folder or is hidden',
                hint="use a relative path below it",
            )
            self.by.notes.add(fault, self.by.output_place, ("output",))
            raise Broken
        if not text.endswith(".mp4"):
            fault = Fault(code="E106", path=(), message=f'the output "{text}" must end in .mp4', hint="every model makes MP4")
            self.by.notes.add(fault, self.by.output_place, ("output",))
            raise Broken
        return "/".join(part for part in parts if part not in {"", "."})
