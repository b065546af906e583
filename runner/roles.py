"""A shot's `media` as written → its Media by the roles of its model, opened and held against the model's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from runner import catalog, judge
from runner.assets import Link, Medium, Shelf
from runner.catalog import Model
from runner.judge import Fault
from runner.stack import Broken, Stack

_KINDS = ("image", "video", "audio")
_CLOSE = Fraction(3, 100)  # 1088*832 and 4:3 are one shape to every service
_Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One medium as the author wrote it: `role`, of a reference also what it is, where known, and its voice."""

    role: str
    value: Any
    path: _Path
    kind: str | None = None
    voice: Any = None
    voice_path: _Path = ()


class Cast:
    """The media of one shot. `shape` is what the model's schema judges: roles, and of references the kinds."""

    def __init__(self, stack: Stack, model: Model, shelf: Shelf) -> None:
        self.stack = stack
        self.model = model
        self.shelf = shelf
        self.media: list[Medium] = []
        self.paths: dict[str, _Path] = {}
        self.shape: dict[str, Any] = {}
        for item in self._written():
            try:
                self._take(item)
            except Broken:
                stack.lost.add("media")

    def _note(self, code: str, message: str, *path: str | int, hint: str | None = None, of_key: bool = False) -> None:
        self.stack.note(Fault(code=code, path=(), message=message, hint=hint), *path, of_key=of_key)

    def _written(self) -> Iterator[Item]:
        media = self.stack.data.get("media") or {}
        if isinstance(media, list):
            yield from (self._native(item, ("media", number)) for number, item in enumerate(media))
            return
        for role, value in media.items():
            if role != "references" or not isinstance(value, list):
                yield Item(role=role, value=value, path=("media", role))
                continue
            for number, item in enumerate(value):
                yield self._reference(item, ("media", role, number))

    def _native(self, item: Mapping[str, Any], path: _Path) -> Item:
        """An item of the service's own list: its `type` is a role's wire name, or a role."""
        written = str(item["type"])
        if "reference_voice" in item and not written.startswith("reference_"):
            self._note("E304", f"{written} has no voice, only a reference has", *path, "reference_voice", of_key=True)
        if written not in self.model.roles:
            for role, rule in self.model.roles.items():
                if rule.get("x-type") == written:
                    return Item(role=role, value=item["url"], path=path)
            kind = written.removeprefix("reference_")
            if "references" in self.model.roles and written.startswith("reference_") and kind in _KINDS:
                voice = item.get("reference_voice")
                return Item(role="references", value=item["url"], path=path, kind=kind, voice=voice, voice_path=path)
        return Item(role=written, value=item["url"], path=path)

    def _reference(self, item: Any, path: _Path) -> Item:
        if not isinstance(item, Mapping):
            return Item(role="references", value=item, path=path)
        kinds = [kind for kind in _KINDS if item.get(kind) is not None]
        kind = kinds[0] if len(kinds) == 1 else None
        voice_path = (*path, "voice")
        value = item.get(kind) if kind else None
        return Item(
            role="references",
            value=value,
            path=(*path, kind) if kind else path,
            kind=kind,
            voice=item.get("voice"),
            voice_path=voice_path,
        )

    def _take(self, item: Item) -> None:
        rule = self.model.roles.get(item.role)
        if rule is None and "model" in self.stack.lost:
            return  # nobody knows whether it has the role
        if rule is None:
            hint = judge.suggestion(item.role, self.model.roles) or f"{self.model.id} takes no media"
            message = f'{self.model.id} has no role "{item.role}"'
            self._note("E304", message, *item.path, hint=hint, of_key=isinstance(item.path[-1], str))
        elif item.value is None:
            self.shape.setdefault("references", []).append({})
            self._note("E106", 'a reference is one of "image", "video" and "audio", with or without a "voice"', *item.path)
        elif not isinstance(item.value, (str, Mapping)):
            self._note("E103", f"{item.role} must be a path or URL, not {judge.shown(item.value)}", *item.path)
        elif item.role == "references":
            self._refer(item, rule)
        elif item.role in self.shape:
            self._note("E307", f"{item.role} is given twice", *item.path)
        else:
            self.shape[item.role] = ""
            self._bring(item.role, item.value, rule.get("x-media", {}), item.path)

    def _refer(self, item: Item, rule: Mapping[str, Any]) -> None:
        is_link = isinstance(item.value, Mapping)
        text = item.value if is_link else str(self.stack.expanded(item.value, *item.path))
        kinds: Mapping[str, Any] = rule["x-items"]
        kind: Any = item.kind or (next(iter(kinds)) if len(kinds) == 1 else self.shelf.kind(text))
        if isinstance(kind, Fault) or kind is None:
            self.shape.setdefault("references", []).append({})
        if isinstance(kind, Fault):
            self.stack.note(kind, *item.path)
            return
        if kind is None:
            hint = f"write it as a mapping: {{{next(iter(kinds))}: …}}; {self.model.id or 'a reference'} takes {', '.join(kinds)}"
            self._note("E412", "nothing tells whether this is a picture, a video or a sound", *item.path, hint=hint)
            return
        others = self.shape.setdefault("references", [])
        role = f"references/{len(others)}"
        others.append({kind: "", **({"voice": ""} if item.voice is not None else {})})
        if kind in kinds:
            self._bring(role, text, kinds[kind].get("x-media", {}), item.path)
        if item.voice is not None and "x-voice" in rule:
            self._bring(f"{role}/voice", item.voice, rule["x-voice"].get("x-media", {}), item.voice_path)

    def _bring(self, role: str, value: Any, limits: Mapping[str, Any], path: _Path) -> None:
        if isinstance(value, Mapping):
            self._link(role, value, limits, path)
            return
        text = str(self.stack.expanded(value, *path))
        medium, wrong = self.shelf.medium(role, text, limits)
        for fault in wrong:
            self.stack.note(fault, *path)
        if medium:
            self.media.append(medium)
            self.paths[role] = path

    def _link(self, role: str, value: Mapping[str, Any], limits: Mapping[str, Any], path: _Path) -> None:
        """Another shot's render: a frame of it where a picture is wanted, the last one unless said, else all of it."""
        kind, frame = limits.get("kind"), value.get("frame")
        name = role.partition("/")[0]
        if kind not in {"image", "video"}:
            self._note("E414", f"{name} takes {kind}, another shot's render is a video", *path)
            return
        if kind == "video" and frame is not None:
            hint = "leave frame out: the whole render goes there"
            self._note("E414", f"{name} takes a video, not a frame of one", *path, "frame", of_key=True, hint=hint)
            return
        shot = str(self.stack.expanded(value["shot"], *path, "shot"))
        at: Any = self._chosen(frame, *path, "frame") if frame is not None else "last"
        take = self._chosen(value.get("take"), *path, "take")
        link = Link(shot=shot, frame=None if kind == "video" else at, take=None if take is None else int(take))
        self.media.append(
            Medium(role=role, form="render", value=str(link), identity=str(link), kind=kind, link=link, rule=limits)
        )
        self.paths[role] = path

    def _chosen(self, written: Any, *path: str | int) -> Any:
        """The frame or take of a link, a number as float; what a variable gives is judged as if it were written there."""
        if isinstance(written, str):
            written = self.stack.columns.typed(written, self.stack.expanded(written, *path), {"type": "number"})
            for fault in judge.faults(catalog.schema("manifest")["$defs"]["chain"]["properties"][path[-1]], written):
                self.stack.note(fault, *path)
                raise Broken
        return float(written) if isinstance(written, (int, float)) else written

    def check(self, wired: Mapping[str, Any], ratio: str | None) -> None:
        """What only shows with the parameters: seconds together, sound longer than the video, a picture of another shape."""
        duration = wired.get("duration", self.model.parameters.get("duration", {}).get("default"))
        for rule in self.model.schema["properties"].get("media", {}).get("x-totals", ()):
            self._total(rule, duration)
        for kind, rule in self.model.roles.get("references", {}).get("x-items", {}).items():
            if most := rule.get("seconds"):
                self._total({"roles": ["references"], "kind": kind, "seconds": most}, duration)
        for medium in self.media:
            seconds = medium.probe.seconds if medium.probe else None
            if medium.rule.get("cut_to") == "duration" and seconds and isinstance(duration, int) and seconds > duration > 0:
                message = f'"{medium.value}" lasts {seconds:.2f} s, the service cuts it at the duration, {duration} s'
                self._note("W407", message, *self.paths[medium.role])
            if medium.rule.get("part_of") == "duration" and seconds and isinstance(duration, int) and duration <= seconds:
                message = f"the {duration} s of the duration count the clip, which lasts {seconds:g} s: nothing new is made"
                self._note("W410", message, *self.paths[medium.role], hint="a longer duration makes what is beyond the clip")
            if medium.role == "first_frame" and ratio:
                self._compare(medium, ratio)

    def _total(self, rule: Mapping[str, Any], duration: Any) -> None:
        lengths = [
            medium.probe.seconds
            for medium in self.media
            if medium.role.partition("/")[0] in rule["roles"]
            and not medium.role.endswith("/voice")
            and medium.probe
            and medium.probe.seconds is not None
            and rule.get("kind") in (None, medium.kind)
        ]
        plus = duration if "plus" in rule and isinstance(duration, int) and duration > 0 else 0
        if lengths and sum(lengths) + plus > rule["seconds"]:
            what = f"{' and '.join(rule['roles'])} last {sum(lengths):.2f} s together"
            and_plus = f", {sum(lengths) + plus:.2f} s with the {plus} s of the video" if plus else ""
            self._note("E407", f"{what}{and_plus}; the most is {rule['seconds']:g} s", "media", rule["roles"][0])

    def _compare(self, medium: Medium, ratio: str) -> None:
        """The picture against the storyboard's ratio, `W:H`."""
        seen = medium.probe
        across, _, down = ratio.partition(":")
        if not (seen and seen.width and seen.height and across.isdigit() and down.isdigit() and int(across) and int(down)):
            return
        off = Fraction(seen.width, seen.height) / Fraction(int(across), int(down))
        if abs(off - 1) > _CLOSE:
            follows = self.model.about.get("follows") == "first_frame"
            hint = (
                "the video follows the picture; crop it, or write its ratio"
                if follows
                else "crop the picture, or write its ratio"
            )
            size = f"{seen.width}×{seen.height}"  # noqa: RUF001 - the sign that people write
            self._note("W405", f'"{medium.value}" is {size}, the storyboard is {ratio}', *self.paths[medium.role], hint=hint)


def anyones(models: Iterable[Model]) -> Model:
    """A model with every role that one of them has and no limits: for a shot whose own is not known, but whose files are."""
    kinds = {role: rule.get("x-media", {}).get("kind") for model in models for role, rule in model.roles.items()}
    rules: dict[str, Any] = {role: {"x-media": {"kind": kind} if kind else {}} for role, kind in kinds.items()}
    items = {kind: {"x-media": {"kind": kind}} for kind in _KINDS}
    rules["references"] = {"x-items": items, "x-voice": {"x-media": {"kind": "audio"}}}
    return Model(id="", schema={"properties": {"media": {"properties": rules}}}, about={})
