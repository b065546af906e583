"""A manifest of 100,000 shots loaded, merged, checked and planned, beside PyYAML's fastest loader with a kept jsonschema validator.

    python -m tests.bench.loading [--shots 100000] [--json]

Stock is what a user would otherwise write: `CSafeLoader`, then one kept validator for the manifest's schema and one for
the model's, over every merged shot. It knows no places, expands no variable, sees no duplicate key and plans nothing.
The limit is libyaml alone. Every measurement has a process of its own, so that memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import Row, show

ROOT = Path(__file__).parent.parent.parent
MODEL = "wan2.7-t2v"
HEAD = """\
callsheet: 1
title: The Long Film
provider: qwencloud
vars: {look: "cinematic lighting, 35mm"}
defaults:
  model: wan2.7-t2v
  prompt: "${prompt}. ${look}"
  parameters: {resolution: 720P, ratio: "16:9", duration: 5}
scenes:
  harbour: {vars: {time: dusk}}
  tower: {vars: {time: dawn}}
shots:
"""
SHOT = """\
  - id: s%06d
    scene: %s
    prompt: "Shot %d: a lighthouse keeper at ${time} walks the gallery, the sea below is grey and high, gulls cross from left to right"
    negative_prompt: low quality, blurred, watermark
    takes: 1
    parameters:
      seed: %d
      duration: %d
      watermark: false
"""
TABLED = """\
callsheet: 1
provider: qwencloud
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P}}
shots:
  - id: clip-${id}
    each: %s
    prompt: ${caption}
    parameters: {duration: "${seconds}"}
"""


def written(shots: int, path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for number in range(shots):
            scene = "harbour" if number % 3 else "tower"
            file.write(SHOT % (number, scene, number, number * 7919 % 2**30, 3 + number % 8))
    return path


def tabled(shots: int, path: Path, table: str) -> Path:
    path.write_text(TABLED % table, encoding="utf-8")
    rows = ((f"{number:06d}", f"A pier, seen from boat {number}", 3 + number % 8) for number in range(shots))
    with path.with_name(table).open("w", encoding="utf-8") as file:
        if table.endswith(".csv"):
            file.write("id,caption,seconds\n")
            file.writelines(f'{name},"{caption}",{seconds}\n' for name, caption, seconds in rows)
        else:
            file.writelines(json.dumps(dict(zip(("id", "caption", "seconds"), row, strict=True))) + "\n" for row in rows)
    return path


def ours(path: Path) -> dict[str, float]:
    import runner
    from runner import catalog

    catalog.load()
    runner.decide  # noqa: B018 - loaded before the clock runs, as the other's modules are
    began = time.process_time()
    manifest = runner.read(path, environ={})
    read = time.process_time()
    plan = runner.decide(manifest, runner.known(manifest))
    return {"read": read - began, "all": time.process_time() - began, "shots": len(plan.steps)}


def slipped(path: Path) -> dict[str, float]:
    import runner
    from runner import catalog

    catalog.load()
    began = time.process_time()
    try:
        runner.read(path, environ={})
    except runner.ManifestError as error:
        return {"all": time.process_time() - began, "shots": len(error.problems)}
    raise AssertionError("nothing was found")


def stock(path: Path) -> dict[str, float]:
    import jsonschema
    import yaml

    schemas = ROOT / "schemas"
    whole = jsonschema.Draft202012Validator(json.loads((schemas / "manifest.schema.json").read_bytes()))
    each = jsonschema.Draft202012Validator(json.loads((schemas / "models" / f"{MODEL}.json").read_bytes()))
    began = time.process_time()
    data = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    loaded = time.process_time()
    wrong = list(whole.iter_errors(data))
    formed = time.process_time()
    for shot in data["shots"]:
        merged = {**data["defaults"]["parameters"], **shot["parameters"]}
        texts = {name: shot[name] for name in ("prompt", "negative_prompt")}
        wrong += each.iter_errors({**texts, "parameters": merged})
    assert not wrong
    ended = time.process_time()
    narrow = ended - began - (formed - loaded)
    return {"load": loaded - began, "all": ended - began, "narrow": narrow, "shots": len(data["shots"])}


def limit(path: Path) -> dict[str, float]:
    from yaml._yaml import CParser

    text = path.read_bytes()
    began = time.process_time()
    CParser(text).raw_parse()
    return {"all": time.process_time() - began, "shots": 0}


def parsed(path: Path) -> dict[str, float]:
    from runner import source

    began = time.process_time()
    found = source.read(path)
    return {"all": time.process_time() - began, "shots": len(found.data["shots"])}


PARTS = {part.__name__: part for part in (ours, slipped, stock, limit, parsed)}


def measured(part: str, path: Path) -> dict[str, float]:
    """In a process of its own; with its peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.loading", "--part", part, "--file", str(path)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def rows(shots: int, folder: Path) -> list[Row]:
    many = written(shots, folder / "many.callsheet.yaml")
    few = written(max(1, shots // 100), folder / "few.callsheet.yaml")
    small = min((measured("ours", few) for _ in range(5)), key=lambda found: found["all"])
    us, them, least, parse = (measured(part, many) for part in ("ours", "stock", "limit", "parsed"))
    slip = folder / "slip.callsheet.yaml"
    text = many.read_text("utf-8")
    at = text.index("takes:", len(text) // 2)
    slip.write_text(f"{text[:at]}takse:{text[at + 6 :]}", encoding="utf-8")
    one = measured("slipped", slip)
    tables = [measured("ours", tabled(shots, folder / f"{name}.callsheet.yaml", name)) for name in ("clips.csv", "clips.jsonl")]
    assert {us["shots"], them["shots"], *(table["shots"] for table in tables)} == {shots}
    assert one["shots"] == 1
    growth = (us["all"] / shots) / (small["all"] / small["shots"])
    ratio, narrow = them["all"] / us["all"], them["narrow"] / us["all"]
    return [
        Row(
            f"{shots:,} shots loaded, merged, checked, planned",
            f"{us['all']:.2f} s",
            f"{them['all']:.2f} s, {ratio:.1f}x",
            f"{least['all']:.2f} s",
            ">= 6x",
            ratio >= 6,
        ),
        Row("  the same, stock without the manifest's schema", f"{us['all']:.2f} s", f"{them['narrow']:.2f} s, {narrow:.1f}x"),
        Row(
            "  of that, text to data with places",
            f"{parse['all']:.2f} s",
            f"{them['load']:.2f} s, {them['load'] / parse['all']:.1f}x",
            f"{least['all']:.2f} s",
        ),
        Row(
            f"µs a shot, at {shots:,} over {small['shots']:,}",
            f"{1e6 * us['all'] / shots:.0f} / {1e6 * small['all'] / small['shots']:.0f} = {growth:.2f}x",
            goal="<= 1.5x",
            ok=growth <= 1.5,
        ),
        Row(
            "peak memory, plan included",
            f"{us['rss']:.0f} MiB",
            f"{them['rss']:.0f} MiB",
            goal="<= 1024 MiB",
            ok=us["rss"] <= 1024,
        ),
        Row("one slip among them found, against all of the above", f"{one['all']:.2f} s, {one['all'] / us['all']:.2f}x"),
        *(
            Row(
                f"{shots:,} rows of {name}, over the shots above",
                f"{table['all']:.2f} s, {table['all'] / us['all']:.2f}x",
                goal="<= 1x",
                ok=table["all"] <= us["all"],
            )
            for name, table in zip(("a CSV", "JSON Lines"), tables, strict=True)
        ),
    ]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--shots", type=int, default=100_000)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    asked.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    how = asked.parse_args()
    if how.part:
        found = PARTS[how.part](how.file)
        print(json.dumps({**found, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    with tempfile.TemporaryDirectory() as folder:
        show("Loading and checking", rows(how.shots, Path(folder)), as_json=how.json)


if __name__ == "__main__":
    main()
