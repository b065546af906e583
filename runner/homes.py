"""The manifest's `output` and the words of one shot → the file in which its picked take is to lie, or why it cannot lie there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import templates
from runner.errors import Place
from runner.judge import Fault
from runner.stack import Broken, Notes
from runner.templates import TemplateError


@dataclass(frozen=True, kw_only=True)
class Homes:
    """Of one manifest; what is wrong is told at `place`, where the pattern stands. `roots` are the folders that may be used."""

    pattern: str
    place: Place
    built_in: Mapping[str, Any]
    folder: Path
    roots: Sequence[Path]
    notes: Notes
    _folders: dict[str, bool] = field(default_factory=dict)  # and whether they lie inside

    def of(self, words: Mapping[str, Any]) -> str:
        """Relative to the manifest's folder, with `/`. Raises Broken."""
        try:
            text = str(templates.expand(self.pattern, {**words, **self.built_in}))
        except TemplateError as error:
            raise self._told("E203", error.fact, error.hint) from None
        parts = text.split("/")
        is_out = text.startswith("/") or "\\" in text or ".." in parts or ":" in parts[0]
        if is_out or any(part.startswith(".") for part in parts):
            raise self._told(
                "E410", f'the output "{text}" leads out of the manifest\'s folder or is hidden', "use a relative path below it"
            )
        if not text.endswith(".mp4"):
            raise self._told("E106", f'the output "{text}" must end in .mp4', "every model makes MP4")
        clean = "/".join(part for part in parts if part not in {"", "."})
        self._check(clean.rpartition("/")[0])
        return clean

    def _check(self, name: str) -> None:
        """The folders of output and takes lie inside the manifest's, after links too: nothing is written through one."""
        if name not in self._folders:
            places = [(self.folder / name / takes).resolve() for takes in ("", "takes")]
            self._folders[name] = all(any(place.is_relative_to(root) for root in self.roots) for place in places)
        if not self._folders[name]:
            message = f'the output folder "{name}" is a link that leads out of the manifest\'s folder'
            raise self._told("E410", message, "allow where it leads with --allow-dir")

    def _told(self, code: str, message: str, hint: str | None) -> Broken:
        self.notes.add(Fault(code=code, path=(), message=message, hint=hint), self.place, ("output",))
        return Broken()
