"""`callsheet init`: a manifest that runs and teaches."""

from __future__ import annotations

import json
from pathlib import Path

import click

from runner import catalog
from runner.commands import options
from runner.errors import UsageError

NAME = "storyboard.callsheet.yaml"
STARTER = """\
# yaml-language-server: $schema=callsheet.schema.json
# A storyboard: run it with `callsheet run`. Without a provider it goes to the studio, which is free and
# draws animatics: timed cards with the shot's text. `callsheet check` says what is wrong, `callsheet plan` what it costs.
callsheet: 1
title: My first storyboard
provider: studio                  # later: qwencloud (needs DASHSCOPE_API_KEY); `callsheet providers` lists them
vars: {look: "cinematic lighting, 35mm"}
defaults:                         # for every shot that does not say otherwise
  model: wan2.7-t2v               # `callsheet models` lists them and what each accepts
  prompt: "${prompt}. ${look}"    # wraps the shot's own prompt
  parameters: {resolution: 720P, ratio: 16:9, duration: 3}
shots:
  - id: s010
    prompt: A lighthouse on a cliff at dusk, waves below, the lamp begins to turn
  - id: s020
    prompt: Close on the keeper's hands, lighting the lamp
    parameters: {duration: 2}
  # A shot from a picture of yours:
  # - id: s030
  #   model: wan2.7-i2v
  #   prompt: She turns to the window
  #   media: {first_frame: frames/keeper.png}
"""


@click.command("init")
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@options.json_option
def command(folder: Path, as_json: bool) -> int:
    """Write a starter manifest that runs as it stands, and the schema your editor completes from. Asks nothing.

    \b
      callsheet init film && cd film && callsheet run
    """
    made = {NAME: STARTER, "callsheet.schema.json": json.dumps(catalog.schema("manifest"), ensure_ascii=False, indent=2) + "\n"}
    if (folder / NAME).exists():
        raise UsageError(f"{folder / NAME} is already there", hint="nothing was written; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from error
    if as_json:
        options.say_json({"files": [(folder / name).as_posix() for name in made]})
        return 0
    where = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"wrote {folder / NAME}")
    click.echo(f"next: {where}callsheet run", err=True)
    return 0
