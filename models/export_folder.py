"""The folder of an export: it replaces an earlier one whole, and never anything else."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.scratch_folder import scratch_folder
from schemas.errors import RequestError

METADATA_NAME = "metadata.json"
"""What every export holds; it tells an export from other folders."""


def require_replaceable(out: Path, names: Collection[str]) -> None:
    """Only an export, an empty folder or nothing may lie where an export is written.

    Args:
        out: the folder.
        names: all that an export of this kind holds.

    Raises:
        RequestError: something else lies there.
    """
    if not out.exists() and not out.is_symlink():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else {"(a file)"}
    strangers = sorted(found - set(names))
    if strangers or out.is_symlink() or (found and METADATA_NAME not in found):
        raise RequestError(
            f"{out} holds something else than an export "
            f"({', '.join(strangers[:3]) or f'no {METADATA_NAME}'})",
            expected="a new folder, an empty one or an earlier export",
            fix="choose another --out",
        )


def publish(scratch: Path, out: Path, names: Collection[str]) -> None:
    """Put a finished export in its place; arguments as in `require_replaceable`."""
    require_replaceable(out, names)
    scratch.chmod(0o755)  # mkdtemp made it private; an export is to be read
    with scratch_folder(out.parent, "replacing") as old:
        if out.exists():
            out.rename(old / out.name)
        scratch.rename(out)


def data_beside(model: Path) -> str:
    """Return where the data set of a model or of its export lies, unless it is said."""
    return str(model.resolve().parent / "data")
