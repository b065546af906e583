"""Problems → what a code host shows beside the line at fault: GitHub's workflow commands, SARIF 2.1.0."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.errors import Problem

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# What each code stands for, whatever the problem at hand says of it.
RULES: Mapping[str, str] = {
    "E001": "The text is not YAML",
    "E002": "A key stands twice in one mapping",
    "E003": "The file is not plain UTF-8 text",
    "E004": "A form of YAML that a manifest cannot have",
    "E005": "The file cannot be read",
    "E006": "The table cannot be read",
    "E101": "An unknown key",
    "E102": "Something that is needed is missing",
    "E103": "A value of the wrong type",
    "E104": "A value that is not among the allowed ones",
    "E105": "A value beyond its limit",
    "E106": "A value of the wrong form",
    "E201": "Two shots have one id",
    "E202": "An id that cannot be one",
    "E203": "A variable that is undefined, unclosed or nested",
    "E204": "There is no such profile",
    "E205": "There is no such scene",
    "E206": "No file fits what is included",
    "E207": "A matrix or table that makes no shots, or none such",
    "E208": "A link to a shot that is not there",
    "E209": "Shots that wait for each other",
    "E301": "There is no such model",
    "E302": "There is no such provider",
    "E303": "The provider does not offer the model",
    "E304": "The model has no such role for media",
    "E305": "The model has no such field",
    "E306": "The model needs a field that is missing",
    "E307": "Fields or media that do not go together",
    "E308": "The model is not offered in the region",
    "E309": "The provider cannot take these media together",
    "E310": "A model that the catalogue has already",
    "E401": "There is no such media file",
    "E402": "The media file cannot be read",
    "E403": "A kind or format of media that the model does not take",
    "E404": "A picture or video with sides that the model does not take",
    "E405": "A picture or video with a ratio that the model does not take",
    "E406": "A media file with too many bytes",
    "E407": "Media that last too long or not long enough",
    "E408": "A picture with transparency that the model refuses",
    "E409": "A form of media (URL, inline data) that the role does not take",
    "E410": "A path that leads out of the manifest's folder or is hidden",
    "E411": "A local file that cannot be brought to the provider",
    "E412": "A reference of no known kind",
    "E413": "A video with too few frames a second",
    "E414": "A part of a shot's render that the role does not take",
    "E415": "A frame beyond the end of the shot",
    "E501": "A secret in the manifest",
    "E502": "A key would travel unencrypted",
    "E503": "Two shots have one output",
    "W101": "A text that the service cuts silently",
    "W102": "A parameter that no model has",
    "W103": "What is sent unchecked",
    "W208": "A link to a take that is neither there nor wanted",
    "W301": "A model that is or will be retired",
    "W303": "A version or spelling of a model that the provider does not list",
    "W304": "A doubt about what the model does with a value",
    "W308": "A region of which no source speaks",
    "W404": "Sides that older pages of the service do not allow",
    "W405": "A first frame of another ratio than the storyboard",
    "W407": "Media that the service cuts silently",
    "W409": "A form of media that no source settles",
    "W410": "A clip that fills the whole duration",
    "W411": "Inline data that no source says the provider takes",
    "W502": "A host that is not trusted with the key",
}


def github_lines(problems: Iterable[Problem], root: Path) -> Iterable[str]:
    """One workflow command a problem; files are told from `root`, the repository's own folder."""
    for problem in problems:
        place = problem.place
        facts = {"file": _file(place.file, root), "line": place.line, "col": place.column, "title": problem.code}
        told = ",".join(f"{name}={_property(str(value))}" for name, value in facts.items())
        yield f"::{problem.severity} {told}::{_data(_text(problem))}"


def sarif(problems: Sequence[Problem], root: Path, version: str) -> dict[str, Any]:
    """The whole SARIF log, one run; files are told from `root`, the repository's own folder."""
    codes = sorted({problem.code for problem in problems})
    seen: Counter[str] = Counter()
    results = []
    for problem in problems:
        uri = _uri(_file(problem.place.file, root))
        mark = _mark(problem, uri)
        seen[mark] += 1
        region = {"startLine": problem.place.line, "startColumn": problem.place.column}
        results.append(
            {
                "ruleId": problem.code,
                "ruleIndex": codes.index(problem.code),
                "level": problem.severity,
                "message": {"text": _text(problem)},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
                "partialFingerprints": {"callsheetProblem/v1": f"{mark}:{seen[mark]}"},
            }
        )
    driver = {"name": "callsheet", "version": version, "rules": [_rule(code) for code in codes]}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _text(problem: Problem) -> str:
    shot = f"shot {problem.shot}: " if problem.shot else ""
    return f"{shot}{problem.message}" + (f"\nhint: {problem.hint}" if problem.hint else "")


def _file(file: str, root: Path) -> str:
    """A file as seen from `root`; as it was told, where it does not lie below."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 - Path.resolve would follow links out of the repository
    try:
        return path.relative_to(root.absolute()).as_posix()
    except ValueError:
        return file


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _rule(code: str) -> dict[str, Any]:
    text = {"text": RULES.get(code, "A problem of a manifest")}
    level = {"level": "error" if code.startswith("E") else "warning"}
    # GitHub's code scanning asks for all three texts; a rule has no more to say than one line.
    return {"id": code, "shortDescription": text, "fullDescription": text, "help": text, "defaultConfiguration": level}


def _uri(file: str) -> str:
    """A path as a URI reference; an absolute one (another drive) has to name its scheme."""
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(file, safe="/")


def _mark(problem: Problem, uri: str) -> str:
    """What stays the same when lines move and shots are added: no line, no position in a list, no number in the text."""
    path = re.sub(r"/\d+(?=/|$)", "", problem.path)
    words = re.sub(r"\d+", "", problem.message)
    return hashlib.sha256("\n".join((uri, problem.code, problem.shot or "", path, words)).encode()).hexdigest()[:16]
