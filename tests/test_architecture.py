"""The walls of DESIGN: who may import whom, and what a fresh process loads.

lint-imports reads the source; the other tests start processes, because what counts for a Beam
worker is what really gets loaded, through our own modules or through a library's.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "pipeline", "beam_jobs", "models", "wakebeam")
TENSORFLOW = {"tensorflow", "tensorflow_io", "tf_keras", "keras"}
READING_MODULES = {"pipeline.input_dataset", "pipeline.augmentation"}

# Imports what it is told and prints what is loaded then, and which files were opened for writing
# by an import: Python's own bytecode, devices and the probe files of `tempfile` don't count.
PROBE = """
import importlib, json, os, sys, tempfile
tempfile.gettempdir()
written = []
def watch(event, args):
    if event == "open" and isinstance(args[0], str) and isinstance(args[2], int):
        writes = args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and "__pycache__" not in args[0] and not args[0].startswith("/dev/"):
            written.append(args[0])
    elif event == "os.mkdir" and "__pycache__" not in str(args[0]):
        written.append(str(args[0]))
sys.addaudithook(watch)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print("PROBE" + json.dumps({"loaded": loaded, "written": written}))
"""


def modules_of(package: str) -> list[str]:
    """Dotted names of all modules of a package, from the files."""
    names = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def probe(modules: list[str], folder: Path) -> tuple[set[str], list[str]]:
    """Import `modules` in a fresh process in `folder`: (top-level names loaded, files written)."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(modules)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.rpartition("PROBE")[2])
    return set(answer["loaded"]), answer["written"]


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_probe_sees_what_is_loaded_and_written(tmp_path: Path) -> None:
    (tmp_path / "writer.py").write_text("import yaml\nopen('made.txt', 'w').close()\n")
    loaded, written = probe(["writer"], tmp_path)
    assert "yaml" in loaded
    assert "tensorflow" not in loaded
    assert written == ["made.txt"]


@pytest.mark.parametrize(
    ("package", "left_out", "forbidden"),
    [
        ("schemas", set(), TENSORFLOW | {"apache_beam", "yaml", "scipy", "soundfile"}),
        ("pipeline", READING_MODULES, TENSORFLOW | {"apache_beam"}),
        ("beam_jobs", set(), TENSORFLOW),
    ],
)
def test_a_fresh_process_loads_no_more_than_it_needs(
    package: str, left_out: set[str], forbidden: set[str], tmp_path: Path
) -> None:
    modules = [
        name
        for name in modules_of(package)
        if name not in left_out and not name.startswith("pipeline.inputs.")
    ]
    assert len(modules) > 1
    loaded, written = probe(modules, tmp_path)
    assert package in loaded
    assert loaded & forbidden == set()
    assert written == []


def test_importing_everything_writes_nothing_of_ours(tmp_path: Path) -> None:
    """Libraries keep caches of their own elsewhere; the working folder and the tree stay clean."""
    modules = [name for package in PACKAGES for name in modules_of(package)]
    loaded, written = probe(modules, tmp_path)
    assert set(PACKAGES) <= loaded
    assert list(tmp_path.iterdir()) == []
    tree = [ROOT / package for package in PACKAGES]
    assert [p for p in written if any(Path(p).is_relative_to(folder) for folder in tree)] == []


def test_schemas_imports_numpy_and_pydantic_alone() -> None:
    imported = set()
    for path in (ROOT / "schemas").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    allowed = {"schemas", "numpy", "pydantic", "pydantic_core"}
    assert {"numpy", "pydantic"} & imported
    assert imported - sys.stdlib_module_names - allowed == set()


def test_rendering_does_not_load_scipys_statistics() -> None:
    """They cost each worker a second and 56 MiB; `scipy.signal` brings them along."""
    code = (
        "import sys, beam_jobs.synthesize, pipeline.scene_renderer; "
        "sys.exit('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
