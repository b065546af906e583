"""One shot's layers → a Shot: variables expanded, media opened, judged by its model's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from runner import judge, layers, parameters, roles, verdict, ways
from runner.assets import Medium, Shelf
from runner.catalog import Catalog, Model, Provider
from runner.errors import Place, Problem
from runner.homes import Homes
from runner.judge import Fault
from runner.links import Tied
from runner.plainly import DEVICES, ID, Plainly
from runner.roles import Cast
from runner.salvage import Torn
from runner.shots import Shot, fingerprint
from runner.stack import Broken, Draft, Notes, Stack

_Found = TypeVar("_Found")


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
    broken: list[str] = field(default_factory=list)  # the ids of shots of which something is
    tied: list[Tied] = field(default_factory=list)  # the shots with links, which are looked at when all shots are there
    plainly: Plainly = field(init=False)
    homes: Homes = field(init=False)

    def shot(self, draft: Draft, torn: Torn | None = None) -> Shot | None:
        """The shot; None where anything of it is broken, when all that can be said of the rest has been. `torn` is what is."""
        before = len(self.notes.problems)
        if not torn and (plain := self.plainly.made(draft)) and self._takes_id(plain):
            return plain
        stack = Stack(draft, notes=self.notes, shelf=self.shelf, lost=torn.lost if torn else ())
        try:
            self._check_id_is_free(stack)
            made = _Shot(self, stack).made()
        except Broken:
            self.broken.append(stack.id)
            return None
        if len(self.notes.problems) == before:
            self.plainly.learn(draft, made, self.catalog.providers[made.provider])
        return made

    def __post_init__(self) -> None:
        object.__setattr__(self, "plainly", Plainly(output=self.output, built_in=self.built_in))
        homes = Homes(
            pattern=self.output,
            place=self.output_place,
            built_in=self.built_in,
            notes=self.notes,
            roots=self.shelf.roots,
            folder=self.shelf.folder,
        )
        object.__setattr__(self, "homes", homes)

    @cached_property
    def any_model(self) -> Model:
        return roles.anyones(self.catalog.models.values())

    def _takes_id(self, shot: Shot) -> bool:
        """Whether the id was free; now it is this shot's."""
        return self.ids.setdefault(shot.id.casefold(), shot.place) is shot.place

    def _check_id_is_free(self, stack: Stack) -> None:
        """Ids are unique ignoring case, since files on some systems are."""
        if "id" in stack.lost:
            return
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
        """The shot. Raises Broken where anything of it is, when all that can be said of the rest has been."""
        stack, lost = self.stack, self.stack.lost
        self._tried("id", self._check_id)
        self._tried("variables", stack.check_variables)
        named = self._tried("model", self._model)
        model, model_name = named or (self.by.any_model, "")
        provider = self._tried("provider", self._provider)
        service = self.by.catalog.providers[provider or "studio"]
        dropped, given = parameters.chosen(stack, self.by.catalog, model)
        texts, unasked = self._texts(model if named else None)
        prompt, negative = texts.get("prompt"), texts.get("negative_prompt")
        cast = Cast(stack, model, self.by.shelf)
        wired = self._wired(model, given)
        unchecked = self.data.get("unchecked") or {}
        if named:
            verdict.tell(stack, model, service, texts=texts, media=cast.shape, parameters=wired, unchecked=unchecked)
        media = tuple(cast.media)
        is_linked = any(medium.link for medium in media)
        if not is_linked and not lost:
            cast.check(wired, self._ratio(wired))
        if named and provider:
            self._check_offer(model, service)
            self._check_ways(model, service, media, cast.paths)
        shot = Shot(
            id=self.id,
            place=stack.place("id"),
            scene=self._tried("scene", stack.text, "scene"),
            model=model,
            model_name=model_name,
            provider=provider or "",
            prompt=prompt,
            negative_prompt=negative,
            media=media,
            parameters=given,
            wired=wired,
            unchecked=unchecked,
            takes=self.data.get("takes", 1),
            output=self._output(model_name, provider or ""),
            dropped=(*dropped, *unasked),
            fingerprint=fingerprint(
                model=model.id, prompt=prompt, negative_prompt=negative, media=media, parameters=given, unchecked=unchecked
            ),
        )
        if is_linked:
            self.by.tied.append(Tied(shot=shot, cast=cast, ratio=self._ratio(wired), is_whole=not lost))
        if lost:
            raise Broken
        return shot

    def _tried(self, part: str, step: Callable[..., _Found], *given: Any) -> _Found | None:
        """What a step yields; None where that part of the shot is lost, by this step or before it."""
        if part in self.stack.lost:
            return None
        try:
            return step(*given)
        except Broken:
            self.stack.lost.add(part)
            return None

    def _texts(self, model: Model | None) -> tuple[dict[str, str], tuple[str, ...]]:
        """Prompt and negative prompt, where the shot has them; and those of an outer layer that its model, if known, lacks."""
        prompt = self._tried("prompt", self.stack.prompt)
        negative = self._tried("negative_prompt", self.stack.text, "negative_prompt")
        texts = {name: text for name, text in (("prompt", prompt), ("negative_prompt", negative)) if text is not None}
        asked = model.schema["properties"] if model else texts
        unasked = tuple(name for name in texts if name not in asked and name not in self.own.data)
        return {name: text for name, text in texts.items() if name not in unasked}, unasked

    def _wired(self, model: Model, given: dict[str, Any]) -> dict[str, Any]:
        """The parameters in the model's own terms; where they do not come to that, as far as they are such already."""
        wired = self._tried("parameters", parameters.sized, self.stack, model, given)
        return {name: value for name, value in given.items() if name in model.parameters} if wired is None else wired

    def _output(self, model: str, provider: str) -> str:
        """Where the picked take is to lie; empty where what that is made of is lost."""
        if self.stack.lost & {"id", "scene", "model", "provider"}:
            return ""
        words = {"shot": self.id, "scene": self.stack.text("scene") or "", "model": model, "provider": provider}
        return self._tried("output", self.by.homes.of, {**self.stack.variables, **words}) or ""

    def _check_id(self) -> None:
        name = self.id.split(".")[0].casefold()
        if not ID.fullmatch(self.id):
            hint = "letters a to z, digits, dot, dash, underscore; it begins with a letter or digit and has at most 64"
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

    def _provider(self) -> str:
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
                (self.id or None) if "provider" in self.own.data else None,
            )
            raise Broken
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

    def _check_offer(self, model: Model, provider: Provider) -> None:
        if not provider.offers(model):
            offers = judge.suggestion(model.id, provider.models)
            self.note(Fault(code="E303", path=(), message=f'{provider.name} does not offer "{model.id}"', hint=offers), "model")
        self._check_region(model, provider)
        written = str(self.stack.text("model"))
        if provider.offers(model) and not provider.lists(written):
            message = f'{provider.name} lists "{model.id}" by another name than "{written}"'
            self.note(Fault(code="W303", path=(), message=message, hint=judge.suggestion(written, provider.models)), "model")

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
