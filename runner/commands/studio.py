"""`callsheet studio`: the embedded provider as a server of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runner.commands import options

# Written out because the studio itself is loaded only when it is served.
DIALECTS = ("native", "qwencloud", "aisa", "apiyi", "yutoai", "opeai")


@click.command("studio")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    show_default=True,
    metavar="PORT",
    help="Where to listen on loopback; 0 takes any.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".callsheet/studio"),
    show_default=True,
    metavar="DIR",
    help="Where tasks and renders lie.",
)
@click.option(
    "--dialect",
    type=click.Choice(DIALECTS),
    default="native",
    show_default=True,
    help="Whose paths, words and errors it speaks; qwencloud is another name for native.",
)
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, metavar="S", help="How long a task takes at least.")
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="How many tasks run at once; the others are PENDING until one ends.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:N]",
    help="Go wrong this way, N times or always (*): 429, 500, lost-reply, fail …; a NAME that is none lists them all.",
)
@options.json_option
def command(port: int, folder: Path, dialect: str, seconds: float, in_flight: int, faults: Sequence[str], as_json: bool) -> None:
    """Serve the studio on loopback, in the dialect of any provider: any key, no cost.

    The base URL that it prints is what the provider's <NAME>_BASE_URL takes. A run without one has a studio of its own
    in a folder of its own, so both can be at work beside one manifest.

    \b
      callsheet studio --seconds 20
      export QWENCLOUD_BASE_URL=http://127.0.0.1:8787/api/v1
      DASHSCOPE_API_KEY=any callsheet run --provider qwencloud --yes

    \b
      callsheet studio --port 8788 --dialect apiyi --fault busy:2
      export APIYI_BASE_URL=http://127.0.0.1:8788
      APIYI_API_KEY=any callsheet run --provider apiyi --yes
    """
    from runner.studio import Faults, Settings, serve_forever  # the server is loaded only here

    def announce(base_url: str) -> None:
        if as_json:
            options.say_line({"base_url": base_url, "dialect": dialect, "folder": str(folder)})
        else:
            click.echo(f"studio at {base_url}, {dialect} dialect, tasks in {folder}; stop it with Ctrl-C")

    wrong = Faults.parse(list(faults))
    settings = Settings(folder=folder, port=port, seconds=seconds, in_flight=in_flight, faults=wrong, dialect=dialect)
    serve_forever(settings, announce)
