"""Writing a text so that it is there whole or as it was."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 under a temporary name beside `path` and rename it.

    A link that lies at either name is replaced, not followed.
    """
    temporary = path.with_name(f".{path.name}.writing")
    temporary.unlink(missing_ok=True)
    with temporary.open("x", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(temporary, path)
