"""Takes the pictures of docs/looking.md: `python docs/screenshots.py DATASET`; needs chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import open_page  # noqa: E402
from wakebeam.dataset_page import dataset_page  # noqa: E402

IMAGES = ROOT / "docs/images"


def inspect_dataset(data: str) -> None:
    """The page of a data set, its second example playing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.html"
        path.write_text(dataset_page(data, num_examples=12), encoding="utf-8")
        with open_page(path.as_uri()) as tab:
            tab.set_viewport_size({"width": 1000, "height": 1900})
            tab.locator("article .sound").nth(0).click(position={"x": 200, "y": 20})
            tab.wait_for_timeout(800)
            tab.evaluate("scrollTo(0, 0)")
            tab.screenshot(path=IMAGES / "inspect-dataset.png")


if __name__ == "__main__":
    inspect_dataset(sys.argv[1])
