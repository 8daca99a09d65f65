"""Writing a small file so that it is there whole or as it was."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 as `replace_bytes` does."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Write under a temporary name beside `path` and rename it.

    A link that lies at either name is replaced, not followed.
    """
    temporary = path.with_name(f".{path.name}.writing")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:
        file.write(content)
    os.replace(temporary, path)
