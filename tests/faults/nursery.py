"""A process that has everything imported and forks a child for each command line: a run costs no start-up.

Commands come as JSON lines on standard input: `{"argv", "kill_at", "torn", "env", "out"}`; each is answered by one line
`{"code"}` (negative: the signal that killed the child) and, where it ended by itself, `{"points"}` that it passed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def child(order: dict) -> None:
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.environ.update(order.get("env", {}))
    os.chdir(order["folder"])
    from runner.cli import code
    from tests.faults.points import install

    points = install(order.get("kill_at", 0), torn=order.get("torn", False))
    result = code(order["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    Path(order["out"] + ".points").write_text(json.dumps(points.names), encoding="utf-8")
    os._exit(result)


def main() -> None:
    import anyio._backends._asyncio
    import av
    import httpx

    import runner.commands.run
    import runner.gates
    import runner.schedule
    from runner import catalog

    del anyio, av, httpx, runner
    catalog.load()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            child(order)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
