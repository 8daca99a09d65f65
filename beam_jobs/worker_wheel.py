"""The code that a worker far away needs, as a wheel: what is imported here is what runs there.

The wheel is packed from the packages as they were found on the path, a source tree or an
installation alike, so it needs no build tool, no network and no path of this machine. Its bytes
depend on its contents alone. It requires nothing: workers install staged wheels together with what
those ask for, and the project as a whole asks for TensorFlow, which no rendering worker imports.
What workers do need is in their image (Dockerfile, requirements.worker.lock).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path

from schemas.errors import RequestError

PACKAGES = ("beam_jobs", "pipeline", "schemas")
_NAME = "wakebeam"
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def write_worker_wheel(folder: Path) -> Path:
    """Write the wheel into `folder` and return its path.

    Raises:
        RequestError: the project is not installed, so that it has no version.
    """
    try:
        version = importlib.metadata.version(_NAME)
    except importlib.metadata.PackageNotFoundError as error:
        raise RequestError(
            f"{_NAME} is not installed for this Python, so its version is unknown",
            fix="make setup, or: pip install --no-deps --editable .",
        ) from error
    info = f"{_NAME}-{version}.dist-info"
    contents = {name: data for package in PACKAGES for name, data in _files(package).items()}
    contents[f"{info}/METADATA"] = _lines(
        "Metadata-Version: 2.1", f"Name: {_NAME}", f"Version: {version}"
    )
    contents[f"{info}/WHEEL"] = _lines(
        "Wheel-Version: 1.0", f"Generator: {_NAME}", "Root-Is-Purelib: true", "Tag: py3-none-any"
    )
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{info}/RECORD"] = _lines(*record, f"{info}/RECORD,,")
    path = folder / f"{_NAME}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def _files(package: str) -> dict[str, bytes]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RequestError(f"the package {package} is not a folder of files", fix="make setup")
    root = Path(spec.origin).parent
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        f"{package}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in found
        if "__pycache__" not in path.parts
    }


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
