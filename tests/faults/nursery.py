"""A process that has everything imported and forks a child for each command line: a run costs no start-up.

Orders come as JSON lines on standard input; each is answered by one line `{"code"}` (negative: the signal that killed
the child). Where a child ended by itself, the points that it passed lie beside what it said.

    argv, folder, env, out   the command line, where, with what, and where to what it says goes
    kill_at, torn            the point at which it dies; `torn`: half of a write is on disk by then
    lossy, lies              the kill takes the power too: what was not fsynced is gone (`lies`: whose fsync does nothing)
    kill_after               seconds after which it is killed
    start_at                 the moment (time.monotonic) at which it begins
    without                  safeguards to be taken out first
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import sys
import tempfile
import time
from pathlib import Path

HANGS = 60.0  # seconds; no command here takes ten
WARM = """\
callsheet: 1
providers: {studio: {base_url: "http://127.0.0.1:9/api/v1"}}
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}
shots:
  - {id: s010, prompt: A pier}
  - {id: s020, prompt: A pier, model: wan2.7-i2v, media: {first_frame: keeper.png}}
"""


def child(order: dict) -> None:
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.environ.update(order.get("env", {}))
    os.chdir(order["folder"])
    from runner.cli import code
    from tests.faults import without
    from tests.faults.disk import Disk
    from tests.faults.points import install

    for name in order.get("without", []):
        without.take_out(name)
    lies = (*order.get("lies", ()), *without.LIES)
    disk = Disk(Path(order["folder"]), lies=lies) if order.get("lossy") else None
    points = install(order.get("kill_at", 0), torn=order.get("torn", False), disk=disk, image=Path(order["out"] + ".image"))
    time.sleep(max(0.0, order.get("start_at", 0.0) - time.monotonic()))
    result = code(order["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    Path(order["out"] + ".points").write_text(json.dumps(points.names), encoding="utf-8")
    os._exit(result)


def main() -> None:
    _warm()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            try:
                child(order)
            except BaseException:  # noqa: BLE001 - a child must never go on as a second nursery
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(70)
        print(json.dumps({"code": os.waitstatus_to_exitcode(_status(pid, order))}), flush=True)


def _status(pid: int, order: dict) -> int:
    """The child's exit status; a signal is sent to it where the order says so, and one that hangs does not hang the tests."""
    began = time.monotonic()
    due = [(order["kill_after"], signal.SIGKILL)] if "kill_after" in order else []
    due.append((HANGS, signal.SIGABRT))
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if due and time.monotonic() - began >= due[0][0]:
            os.kill(pid, due.pop(0)[1])
        time.sleep(0.001)
    image = Path(order["out"] + ".image")
    if image.exists():
        from tests.faults.disk import rebuilt

        rebuilt(Path(order["folder"]), pickle.loads(image.read_bytes()))
        image.unlink()
    return status


def _warm() -> None:
    """Import and fill every cache that a run would, but never open a loop: a child forks from this."""
    import anyio._backends._asyncio
    import av
    import httpcore
    import httpx
    from PIL import Image

    import runner.commands.run
    import runner.gates
    import runner.schedule
    import runner.studio
    import runner.studio.animatic
    from runner import catalog
    from runner.cli import code
    from tests.faults import without

    del anyio, av, httpcore, runner, without
    context = httpx.create_ssl_context()  # reading the certificates takes longer than a whole run
    httpx._transports.default.create_ssl_context = lambda *_, **__: context
    catalog.load()
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (640, 360)).save(Path(folder) / "keeper.png")
        (Path(folder) / "warm.callsheet.yaml").write_text(WARM)
        silence = os.open(os.devnull, os.O_WRONLY)
        kept = os.dup(1), os.dup(2)
        for stream in (1, 2):
            os.dup2(silence, stream)
        code(["plan", f"{folder}/warm.callsheet.yaml"])
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, fd in zip((1, 2), kept, strict=True):
            os.dup2(fd, stream)
            os.close(fd)
        os.close(silence)
    gc.freeze()


if __name__ == "__main__":
    main()
