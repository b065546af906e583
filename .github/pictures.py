"""Make the README's pictures anew: `python .github/pictures.py`. Needs callsheet, chromium and tmux on the path.

They come from real runs of `manifests/`, in a copy: frames of animatics, the board as Chromium shows it, a terminal.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import av
from PIL import Image
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS, ROWS = 104, 17


def frame(path: Path, second: float) -> Image.Image:
    """The picture at a second of a render; PyAV itself would read the wrong colours from BT.709."""
    with av.open(str(path)) as film:
        for picture in film.decode(video=0):
            if picture.time >= second:
                return picture.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="DEFAULT").to_image()
    raise SystemExit(f"{path} is shorter than {second} s")


def animatics(folder: Path) -> None:
    """A card and a move over a picture, side by side."""
    takes = folder / "renders" / "lighthouse"
    sheet = Image.new("RGB", (1280, 360))
    sheet.paste(frame(takes / "coast" / "s010.mp4", 1.5).resize((640, 360), Image.Resampling.LANCZOS), (0, 0))
    sheet.paste(frame(takes / "lantern-room" / "s020.mp4", 1.5).resize((640, 360), Image.Resampling.LANCZOS), (640, 0))
    save(sheet, "animatics.png")


def board(folder: Path) -> None:
    """The board, with one shot edited since, so that there is something outdated to see."""
    shot = folder / "board.png"
    command = ["chromium", "--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=1360,1180"]
    page = (folder / "letter.board.html").as_uri()
    subprocess.run([*command, "--virtual-time-budget=4000", f"--screenshot={shot}", page], check=True, capture_output=True)
    save(Image.open(shot).convert("RGB"), "board.png")


def terminal(folder: Path) -> None:
    """The live view of a run in the middle of it, as tmux shows it."""
    slow = (folder / "letter.callsheet.yaml").read_text("utf-8").replace("provider: studio", SLOW, 1)
    (folder / "slow.callsheet.yaml").write_text(slow, "utf-8")
    command = "callsheet run slow.callsheet.yaml; sleep 30"
    subprocess.run(
        ["tmux", "-L", "pictures", "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), command], cwd=folder, check=True
    )
    try:
        time.sleep(24)  # by then some are saved, so that the rest has an expectation
        seen = subprocess.run(
            ["tmux", "-L", "pictures", "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
        ).stdout
    finally:
        subprocess.run(["tmux", "-L", "pictures", "kill-server"], check=False)
    console = Console(record=True, width=COLUMNS, file=(folder / "said").open("w", encoding="utf-8"))
    console.print(Text.from_ansi(f"$ callsheet run letter.callsheet.yaml\n{seen.rstrip()}"))
    (HERE / "terminal.svg").write_text(console.export_svg(title="callsheet run"), "utf-8")


SLOW = "provider: studio\nproviders: {studio: {seconds: 6}}"


def save(picture: Image.Image, name: str) -> None:
    """With 256 colours, which is a third of the bytes and hardly to be seen."""
    picture.quantize(256, method=Image.Quantize.MEDIANCUT).save(HERE / name, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "manifests"
        shutil.copytree(HERE.parent / "manifests", folder, ignore=shutil.ignore_patterns("renders", ".callsheet", "*.lock"))
        for verb, name in (("run", "lighthouse"), ("run", "letter")):
            subprocess.run(["callsheet", verb, f"{name}.callsheet.yaml"], cwd=folder, check=True)
        subprocess.run(["callsheet", "pick", "letter.callsheet.yaml", "s210@1"], cwd=folder, check=True)
        subprocess.run(["callsheet", "board", "letter.callsheet.yaml"], cwd=folder, check=True)
        animatics(folder)
        board(folder)
        terminal(folder)


if __name__ == "__main__":
    main()
