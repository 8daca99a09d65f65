"""Every model of the zoo trained by its recipe: parameters, minutes, result, written as a table.

    python -m benchmarks.zoo                     all
    python -m benchmarks.zoo crnn bc_resnet      some

A row that is run replaces the one of its name in docs/models.md; the others stay. Each recipe is
copied into a folder `zoo-NAME` of its own beside `recipes/` and run by the commands that its row
names, as a user would. Recordings are looked for at `../shared/data`; a recipe whose recordings
aren't there is left out by name. Minutes are of one run, from synthesis to judgement: those that
passed, and those of processor time, which other work on the machine doesn't lengthen much.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.event_matching import match_events
from schemas.detection import Detection, ReferenceEvent

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
PAGE = ROOT / "docs/models.md"
_ACTIVATES_S = {"1.wav": [(1.90, 2.59)], "2.wav": [(1.57, 2.35), (4.19, 4.89)]}
"""Where "activate" is spoken in the exercise's two recordings, among other words."""
_START, _END = "<!-- table: benchmarks/zoo.py -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Entry:
    """A row.

    Attributes:
        name: of the row and its folder.
        recipe: file in `recipes/`.
        verbs: run one after another on the recipe's folder.
        result: what to print, of the judgement and the folder.
        settings: for each verb.
    """

    name: str
    recipe: str
    verbs: tuple[str, ...]
    result: Callable[[dict[str, Any], Path], str]
    settings: tuple[str, ...] = ()


def _detector(values: dict[str, Any], folder: Path) -> str:
    low, high = (100 * v for v in values["miss_interval"])
    return (
        f"{100 * values['miss_rate']:.1f} % missed ({low:.1f} … {high:.1f}), "
        f"{values['false_accepts_per_hour']:.1f} false accepts/h in {values['hours']:.2f} h"
    )


def _sound_events(values: dict[str, Any], folder: Path) -> str:
    total = values["micro"]["num_reference"]
    return (
        f"macro event F1 {100 * values['macro_f1']:.1f} %, PSDS {values['psds']:.3f}, "
        f"{total} events of {len(values['classes'])} classes"
    )


def _share(values: dict[str, Any], folder: Path) -> str:
    found = values["accuracy"]
    low, high = (100 * bound for bound in found["interval"])
    return (
        f"{100 * found['share']:.1f} % right ({low:.1f} … {high:.1f}), "
        f"{found['count']} of {found['total']}"
    )


def _beside_base_rate(values: dict[str, Any], folder: Path) -> str:
    return f'{_share(values, folder)}; always "no" {100 * values["base_rate"]["share"]:.1f} %'


def _on_real_takes(values: dict[str, Any], folder: Path) -> str:
    """Add what the exported detector finds in the exercise's two recordings."""
    takes = [DATA / "activate_10s/dev" / name for name in _ACTIVATES_S]
    lines = _wakebeam(
        "detect", "--json", "--model", f"{folder.name}/export", *map(str, takes)
    ).splitlines()
    hits = alarms = 0
    for take, spans_s in zip(takes, _ACTIVATES_S.values(), strict=True):
        found = [json.loads(line) for line in lines]
        detections = [
            Detection(d["time_s"], d["label"], d["score"]) for d in found if d["file"] == str(take)
        ]
        events = [ReferenceEvent(*span_s, "activate") for span_s in spans_s]
        matching = match_events(detections, events, hit_window_s=1.0)
        hits, alarms = hits + len(matching.hits), alarms + len(matching.false_accepts)
    wanted = sum(map(len, _ACTIVATES_S.values()))
    return (
        f"two real takes: {hits} of {wanted} activates found, {alarms} false accepts; "
        f"test scenes, full of halves of the word: {_detector(values, folder)}"
    )


ENTRIES = (
    Entry("stream_tcn", "alexa.yaml", ("run",), _detector),
    Entry("bc_resnet", "alexa.yaml", ("run",), _detector, ("model={family: bc_resnet}",)),
    Entry("crnn", "alexa.yaml", ("run",), _detector, ("model={family: crnn}",)),
    Entry("trigger_gru", "activate_10s.yaml", ("run",), _on_real_takes),
    Entry("sed_crnn", "sed_esc10.yaml", ("run",), _sound_events),
    Entry("command_cnn", "digits.yaml", ("train",), _share),
    Entry("command_cnn, robust", "digits-robust.yaml", ("train",), _share),
    Entry("clip_attention", "clip_attention.yaml", ("synth", "train"), _beside_base_rate),
    Entry(
        "clip_birnn",
        "clip_attention.yaml",
        ("synth", "train"),
        _beside_base_rate,
        ("model.family=clip_birnn",),
    ),
    Entry("date_attention", "dates.yaml", ("synth", "train"), _share),
)


def row_of(entry: Entry) -> list[str]:
    """Run an entry and return its cells."""
    folder = ROOT / f"zoo-{entry.name.replace(', ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(ROOT / "recipes" / entry.recipe, folder / "recipe.yaml")
    settings = [word for setting in entry.settings for word in ("--set", setting)]
    began_s, cpu_s = time.monotonic(), _processor_s()
    for verb in entry.verbs:
        _wakebeam(verb, folder.name, *settings)
    if "run" not in entry.verbs:
        _wakebeam("evaluate", f"{folder.name}/model")
    minutes, cpu = (time.monotonic() - began_s) / 60, (_processor_s() - cpu_s) / 60
    card = json.loads((folder / "model/model.json").read_text(encoding="utf-8"))
    values = json.loads((folder / "model/evaluation.json").read_text(encoding="utf-8"))
    verbs = " && ".join(f"wakebeam {verb} w" for verb in entry.verbs)
    what = "".join(f' --set "{setting}"' for setting in entry.settings)
    cost = card.get("multiply_adds_per_second")
    return [
        f"`{entry.name}`",
        f"{card['parameters']:,}",
        f"{cost / 1e6:.1f} M" if cost else "",
        f"{minutes:.1f}",
        f"{cpu:.1f}",
        entry.result(values, folder),
        f"`{entry.recipe}`: `{verbs}{what}`",
    ]


def table(rows: dict[str, str]) -> str:
    """Return the page's table of {name: row}, in the order of the entries."""
    head = ("model", "parameters", "multiply-adds/s", "minutes", "processor min", "result", "how")
    lines = [_line(head), _line(["---"] * len(head))]
    return "\n".join(lines + [rows[entry.name] for entry in ENTRIES if entry.name in rows])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wakebeam(*words: str) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "wakebeam.cli", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main(names: list[str]) -> None:
    """Run what is named, or all, and put the rows into the page, each as soon as it is there."""
    unknown = set(names) - {entry.name for entry in ENTRIES}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    for entry in ENTRIES:
        if names and entry.name not in names:
            continue
        if "shared/data" in (ROOT / "recipes" / entry.recipe).read_text() and not DATA.exists():
            print(f"{entry.name}: left out, there is no {DATA}", flush=True)
            continue
        row = _line(row_of(entry))
        print(row, flush=True)
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(_START)
        old, _, after = rest.partition(_END)
        rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
        page = f"{before}{_START}\n{table(rows | {entry.name: row})}\n{_END}{after}"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
