"""Every model of the zoo trained by its recipe: parameters, minutes, result, written as a table.

    python -m benchmarks.zoo                 all, into docs/models.md
    python -m benchmarks.zoo dates digits    some; prints them and leaves the page alone

Each recipe is copied into a folder `zoo-NAME` of its own beside `recipes/` and run by the commands
that its row names, as a user would. Recordings are looked for at `../shared/data`; a recipe whose
recordings aren't there is left out by name. Minutes are of one run, from synthesis to judgement.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
PAGE = ROOT / "docs/models.md"
_START, _END = "<!-- table: benchmarks/zoo.py -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Entry:
    """A row.

    Attributes:
        name: of the row and its folder.
        recipe: file in `recipes/`.
        verbs: run one after another on the recipe's folder.
        result: what to print of the judgement.
        settings: for each verb.
    """

    name: str
    recipe: str
    verbs: tuple[str, ...]
    result: Callable[[dict[str, Any]], str]
    settings: tuple[str, ...] = ()


def _detector(values: dict[str, Any]) -> str:
    low, high = (100 * v for v in values["miss_interval"])
    return (
        f"{100 * values['miss_rate']:.1f} % missed ({low:.1f} … {high:.1f}), "
        f"{values['false_accepts_per_hour']:.1f} false accepts/h in {values['hours']:.2f} h"
    )


def _sound_events(values: dict[str, Any]) -> str:
    total = values["micro"]["num_reference"]
    return (
        f"macro event F1 {100 * values['macro_f1']:.1f} %, PSDS {values['psds']:.3f}, "
        f"{total} events of {len(values['classes'])} classes"
    )


def _share(values: dict[str, Any]) -> str:
    found = values["accuracy"]
    low, high = (100 * bound for bound in found["interval"])
    return (
        f"{100 * found['share']:.1f} % right ({low:.1f} … {high:.1f}), "
        f"{found['count']} of {found['total']}"
    )


def _beside_base_rate(values: dict[str, Any]) -> str:
    return f'{_share(values)}; always "no" {100 * values["base_rate"]["share"]:.1f} %'


ENTRIES = (
    Entry("stream_tcn", "alexa.yaml", ("run",), _detector),
    Entry("bc_resnet", "alexa.yaml", ("run",), _detector, ("model={family: bc_resnet}",)),
    Entry("crnn", "alexa.yaml", ("run",), _detector, ("model={family: crnn}",)),
    Entry("trigger_gru", "activate_10s.yaml", ("run",), _detector),
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
    began_s = time.monotonic()
    for verb in entry.verbs:
        _wakebeam(verb, folder.name, *settings)
    if "run" not in entry.verbs:
        _wakebeam("evaluate", f"{folder.name}/model")
    minutes = (time.monotonic() - began_s) / 60
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
        entry.result(values),
        f"`{entry.recipe}`: `{verbs}{what}`",
    ]


def table(rows: list[list[str]]) -> str:
    """Return rows as Markdown."""
    head = ["model", "parameters", "multiply-adds/s", "minutes", "result on test", "how"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _wakebeam(*words: str) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "wakebeam.cli", *words], cwd=ROOT, env=env, check=True)


def main(names: list[str]) -> None:
    """Run what is named, or all, and write the page."""
    rows = []
    for entry in ENTRIES:
        if names and entry.name not in names:
            continue
        if "shared/data" in (ROOT / "recipes" / entry.recipe).read_text() and not DATA.exists():
            print(f"{entry.name}: left out, there is no {DATA}", flush=True)
            continue
        rows.append(row_of(entry))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    if names:
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_START)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_START}\n{table(rows)}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
