"""`callsheet studio`: the embedded provider as a server of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runner.commands import options


@click.command("studio")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Where to listen on loopback; 0 takes any."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".callsheet/studio"),
    show_default=True,
    help="Where tasks and renders lie.",
)
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, metavar="S", help="How long a task takes at least.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME[:N]", help="Go wrong this way, N times: 429, 500, lost-reply, fail …"
)
@options.json_option
def command(port: int, folder: Path, seconds: float, faults: Sequence[str], as_json: bool) -> None:
    """Serve the studio on loopback: the native dialect under /api/v1, any key, no cost.

    \b
      callsheet studio --port 8787 --seconds 20
      DASHSCOPE_API_KEY=any QWENCLOUD_BASE_URL=http://127.0.0.1:8787/api/v1 callsheet run --provider qwencloud
    """
    from runner.studio import Faults, Settings, serve_forever  # the server is loaded only here

    def announce(base_url: str) -> None:
        if as_json:
            options.say_line({"base_url": base_url, "folder": str(folder)})
        else:
            click.echo(f"studio at {base_url}, tasks in {folder}; stop it with Ctrl-C")

    serve_forever(Settings(folder=folder, port=port, seconds=seconds, faults=Faults.parse(list(faults))), announce)
