"""Make the README's pictures anew: `python .github/pictures.py`, after a run of manifests/lighthouse.callsheet.yaml."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

HERE = Path(__file__).parent
TAKES = HERE.parent / "manifests" / "renders" / "lighthouse"


def frame(path: Path, second: float) -> Image.Image:
    """The picture at a second of a render."""
    with av.open(str(path)) as film:
        for picture in film.decode(video=0):
            if picture.time >= second:
                return picture.to_image()
    raise SystemExit(f"{path} is shorter than {second} s")


sheet = Image.new("RGB", (1280, 360))
sheet.paste(frame(TAKES / "coast" / "s010.mp4", 1.5).resize((640, 360), Image.Resampling.LANCZOS), (0, 0))
sheet.paste(frame(TAKES / "lantern-room" / "s020.mp4", 1.5).resize((640, 360), Image.Resampling.LANCZOS), (640, 0))
sheet.save(HERE / "animatics.png", optimize=True)
