"""One shot's layers → a Shot: variables expanded, media opened, judged by its model's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from runner import judge, layers, parameters, templates, verdict, ways
from runner.assets import Medium, Shelf
from runner.catalog import Catalog, Model, Provider
from runner.errors import Place, Problem
from runner.judge import Fault
from runner.layers import Layer
from runner.links import Tied
from runner.plainly import DEVICES, ID, Plainly
from runner.roles import Cast
from runner.shots import Shot
from runner.source import Map
from runner.stack import Broken, Columns, Notes, Outer, Stack
from runner.templates import TemplateError


class Heard(Notes, Protocol):
    """Notes that can be looked at."""

    problems: list[Problem]


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes the shots of one manifest; problems go to `notes`."""

    catalog: Catalog
    notes: Heard
    shelf: Shelf
    built_in: Mapping[str, Any]
    output: str
    output_place: Place
    provider: str | None
    top_provider: str | None
    top_place: Place

    ids: dict[str, Place] = field(default_factory=dict)
    tied: list[Tied] = field(default_factory=list)  # the shots with links, which are looked at when all shots are there
    plainly: Plainly = field(init=False)
    outers: dict[tuple[int, ...], Outer] = field(default_factory=dict)
    folders: dict[str, bool] = field(default_factory=dict)  # output folders, and whether they lie inside

    def shot(self, rows: Sequence[Layer], variables: Sequence[Map], columns: Columns) -> Shot | None:
        outer, own, before = self._outer(rows[:-1], variables), rows[-1].data, len(self.notes.problems)
        if not columns.values and (plain := self.plainly.made(outer, own)) and self._takes_id(plain):
            return plain
        try:
            stack = Stack(rows, notes=self.notes, shelf=self.shelf, variables=variables, columns=columns, outer=outer)
            self._check_id_is_free(stack)
            made = _Shot(self, stack).made()
        except Broken:
            return None
        if not columns.values and len(self.notes.problems) == before:
            self.plainly.learn(outer, own, made, self.catalog.providers[made.provider])
        return made

    def __post_init__(self) -> None:
        object.__setattr__(self, "plainly", Plainly(output=self.output, built_in=self.built_in))

    def _takes_id(self, shot: Shot) -> bool:
        """Whether the id was free; now it is this shot's."""
        return self.ids.setdefault(shot.id.casefold(), shot.place) is shot.place

    def _outer(self, rows: Sequence[Layer], variables: Sequence[Map]) -> Outer:
        key = tuple(map(id, (*rows, *variables)))
        if key not in self.outers:
            self.outers[key] = Outer(rows, variables)
        return self.outers[key]

    def _check_id_is_free(self, stack: Stack) -> None:
        """Ids are unique ignoring case, since files on some systems are."""
        place = stack.place("id")
        other = self.ids.setdefault(stack.id.casefold(), place)
        if other is place:
            return
        if other == place:
            message, hint = f'the id "{stack.id}" is that of another combination too', "put the columns into the id: ${…}"
        else:
            where = f"line {other.line}" if other.file == place.file else str(other)
            message, hint = f'the id "{stack.id}" is taken by the shot at {where}', "ids differ in more than case"
        stack.note(Fault(code="E201", path=(), message=message, hint=hint), "id")


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
        dropped, given = parameters.chosen(self.stack, self.by.catalog, model)
        texts = {name: text for name, text in (("prompt", prompt), ("negative_prompt", negative)) if text is not None}
        for name in [name for name in texts if name not in model.schema["properties"] and name not in self.own.data]:
            dropped = (*dropped, name)  # from an outer layer, as parameters are
            del texts[name]
        prompt, negative = texts.get("prompt"), texts.get("negative_prompt")
        cast = Cast(self.stack, model, self.by.shelf)
        wired = parameters.sized(self.stack, model, given)
        unchecked = self.data.get("unchecked") or {}
        service = self.by.catalog.providers[provider]
        verdict.tell(self.stack, model, service, texts=texts, media=cast.shape, parameters=wired, unchecked=unchecked)
        media = tuple(cast.media)
        is_linked = any(medium.link for medium in media)
        if not is_linked:
            cast.check(wired, self._ratio(wired))
        self._check_ways(model, service, media, cast.paths)
        shot = Shot(
            id=self.id,
            place=self.stack.place("id"),
            scene=self.stack.text("scene"),
            model=model,
            model_name=model_name,
            provider=provider,
            prompt=prompt,
            negative_prompt=negative,
            media=media,
            parameters=given,
            wired=wired,
            unchecked=unchecked,
            takes=self.data.get("takes", 1),
            output=self._output(model_name, provider),
            dropped=dropped,
            fingerprint=None,
        ).with_media(media)
        if is_linked:
            self.by.tied.append(Tied(shot=shot, cast=cast, ratio=self._ratio(wired)))
        return shot

    def _check_id(self) -> None:
        name = self.id.split(".")[0].casefold()
        if not ID.fullmatch(self.id):
            hint = "letters, digits, dot, dash, underscore; it begins with a letter or digit and has at most 64"
            self.note(Fault(code="E202", path=(), message=f'"{self.id}" cannot be an id', hint=hint), "id")
            raise Broken
        if name in DEVICES or self.id.endswith("."):
            self.note(
                Fault(code="E202", path=(), message=f'"{self.id}" cannot be a file name on Windows', hint="choose another id"),
                "id",
            )
            raise Broken

    def _model(self) -> tuple[Model, str]:
        name = self.stack.text("model")
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
        written = self.stack.text("provider")
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
        self._check_region(model, provider)
        written_model = str(self.stack.text("model"))
        if provider.offers(model) and not provider.lists(written_model):
            message = f'{name} lists "{model.id}" by another name than "{written_model}"'
            self.note(
                Fault(code="W303", path=(), message=message, hint=judge.suggestion(written_model, provider.models)), "model"
            )
        return str(name)

    def _check_region(self, model: Model, provider: Provider) -> None:
        regions = model.about.get("regions", ())
        if not provider.region or not regions or provider.region in regions:
            return
        hint = f"regions that are sure: {', '.join(regions)}"
        if provider.region in model.about.get("not_in", ()):
            message = f'"{model.id}" is not offered in region {provider.region}'
            self.note(Fault(code="E308", path=(), message=message, hint=hint), "model")
        else:
            message = f'no source says whether "{model.id}" is offered in region {provider.region}'
            self.note(Fault(code="W308", path=(), message=message, hint=hint), "model")

    def _ratio(self, wired: Mapping[str, Any]) -> str | None:
        """The shape that the storyboard asks for, also where this shot's model has no word for it."""
        ratio = (self.data.get("parameters") or {}).get("ratio")
        size = wired.get("size")
        return str(ratio) if isinstance(ratio, str) else size.replace("*", ":") if isinstance(size, str) else None

    def _check_ways(
        self, model: Model, provider: Provider, media: Sequence[Medium], paths: Mapping[str, tuple[str | int, ...]]
    ) -> None:
        """Whether everything can get to the provider, said before anything is spent."""
        for medium in media:
            found = ways.way(provider, medium)
            if isinstance(found, Fault):
                hint = "a render lies here: another provider takes it, or go on by a frame" if medium.link else found.hint
                self.note(replace(found, hint=hint), *paths[medium.role])
            elif (found == "inline" or medium.form == "data") and provider.spec["media"]["data_uri"].get("unsure"):
                message = f"no source says whether {provider.name} takes pictures inline, as this one would be sent"
                hint = "try one shot before many" if medium.link else "give its https:// URL, or try one shot before many"
                self.note(Fault(code="W411", path=(), message=message, hint=hint), *paths[medium.role])
        items = [medium for medium in media if model.roles[medium.role.partition("/")[0]]["x-to"].endswith("/media/-")]
        if provider.media_encoding(model) == "string" and [medium.role for medium in items] not in ([], ["first_frame"]):
            message = f"{provider.name} takes media as bare URLs, which say nothing but one first_frame"
            hint = f"say media_encoding: object under providers: {provider.name}: if it takes objects after all"
            self.note(Fault(code="E309", path=(), message=message, hint=hint), "media")

    def _output(self, model: str, provider: str) -> str:
        words = {
            **self.by.built_in,
            "shot": self.id,
            "scene": self.stack.text("scene") or "",
            "model": model,
            "provider": provider,
        }
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
        clean = "/".join(part for part in parts if part not in {"", "."})
        self._check_folder(clean.rpartition("/")[0])
        return clean

    def _check_folder(self, name: str) -> None:
        """The folders of output and takes lie inside the manifest's, after links too: nothing is written through one."""
        by = self.by
        if name not in by.folders:
            places = [(by.shelf.folder / name / takes).resolve() for takes in ("", "takes")]
            by.folders[name] = all(any(place.is_relative_to(root) for root in by.shelf.roots) for place in places)
        if not by.folders[name]:
            message = f'the output folder "{name}" is a link that leads out of the manifest\'s folder'
            fault = Fault(code="E410", path=(), message=message, hint="allow where it leads with --allow-dir")
            by.notes.add(fault, by.output_place, ("output",))
            raise Broken
