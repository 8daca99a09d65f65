"""Misses and false accepts per hour on streams of real recordings, by the product's defaults.

    python -m benchmarks.accuracy                        four keywords, three seeds: hours
    python -m benchmarks.accuracy alexa --seeds 1        less
    python -m benchmarks.accuracy athena --set training.loss=max_pool       another setting
    python -m benchmarks.accuracy --print                the table of the runs that there are

The preset `wake-word` as `wakebeam init` writes it, for the recordings of `../shared/data`. Half of
each class of recordings is the test's, by a stable hash of the file; one phrase and one fold of the
noises are heard in no training at all, and another phrase in none but validation. The stream is
made by `wakebeam stream-set` (2.3 h, 10 dB) of the same takes and noises for each seed; leaks are
refused. Real speech runs out in it, so that spoken sentences are among it, in accents that are left
out elsewhere: training and validation hear other sentences in other accents, and each seed has
other voices. Training is `wakebeam run`: recipe to export. A run that is done
(accuracy-KEYWORD-SEED/result.json) isn't done again.

Two results of each run: at the threshold that validation chose, and the fewest misses that any
threshold has on this stream within a limit of false accepts, which is how a curve is read and no
forecast. The table has each run, with the interval of its misses, and the median of each column.
PocketSphinx hears the first seed's stream where POCKETSPHINX_PYTHON names an interpreter that has
it, at every power of ten as its threshold; its curve is read in the same way.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.sentences import SENTENCES
from models.event_matching import match_events
from pipeline.recipe_template import recipe_template
from pipeline.stream_writer import read_stream_set
from schemas.canonical import digest
from schemas.detection import Detection
from wakebeam.stream_scoring import read_events

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
LIMITS = (0.0, 0.5, 1.0, 2.0)
HOURS = 2.3
_SPLITS = (
    "{train: 0.4, validation: 0.1, test: 0.5, keep: {.flac: test, flac: validation, '3': test, "
    ".wav: test, wav: train, av: validation, george: train, jackson: train, lucas: train, "
    "nicolas: train, theo: validation, yweweler: test}}"
)
_ALL_TEST, _ALL_VALIDATION = r"(\.flac)$", "(flac)$"
_SPOKEN = {
    "spoken": (r"(\.wav)$", ("en-us", "en-gb-x-rp", "en-029")),
    "heard": ("(wav)$", ("en", "en-gb-scotland")),
    "validated": (r"(av)$", ("en-gb-x-gbclan",)),
}
"""Folders of spoken sentences: the pattern that gives them to test, training or validation, and
the accents in which they are spoken."""
_DIGIT_SPEAKER = r"\d_([a-z]+)_\d+\.wav$"
_RECIPE, _RESULT = "recipe.yaml", "result.json"
_FOLD = r"(?:^|/)(\d)-"


@dataclass(frozen=True)
class Keyword:
    """What is heard beside a keyword.

    Attributes:
        unheard: phrase of the test alone.
        validated: phrase of validation alone.
        others: phrases that are divided like all else.
        pronounced: for PocketSphinx, word by word.
    """

    unheard: str
    validated: str
    others: tuple[str, ...]
    pronounced: str


_SMART_MIRROR = "smart=S M AA R T,mirror=M IH R ER"
_HEY_SAVANT = "hey=HH EY,savant=S AH V AA N T"
KEYWORDS = {
    "alexa": Keyword("smart_mirror", "hey_savant", ("athena",), "alexa=AH L EH K S AH"),
    "smart_mirror": Keyword("alexa", "hey_savant", ("athena",), _SMART_MIRROR),
    "athena": Keyword("smart_mirror", "hey_savant", ("alexa",), "athena=AH TH IY N AH"),
    "hey_savant": Keyword("athena", "smart_mirror", ("alexa",), _HEY_SAVANT),
}


def recipe_text(name: str) -> str:
    """Return the preset's recipe for a keyword."""
    keyword, takes = KEYWORDS[name], DATA / "keywords"
    negative = [
        (takes / keyword.unheard, "speech", _ALL_TEST),
        (takes / keyword.validated, "speech", _ALL_VALIDATION),
        *((takes / other, "speech", None) for other in keyword.others),
        *((DATA / "negatives" / f"sentences_{which}", "speech", None) for which in ("en", "es")),
        (DATA / "digits", "speech", _DIGIT_SPEAKER),
        *((Path(folder), "speech", pattern) for folder, (pattern, _) in _SPOKEN.items()),
    ]
    near = DATA / "negatives/hey_savant_near_misses"  # to another keyword they are the validated's
    own = name == "hey_savant"
    negative.append((near, "near_miss", None) if own else (near, "speech", _ALL_VALIDATION))
    text = recipe_template(
        name=name,
        keyword=[(str(takes / name), name, None)],
        negative=[(str(path), kind, pattern) for path, kind, pattern in negative],
        background=[(str(DATA / "backgrounds/esc10"), _FOLD)],
    )
    speech = [
        {"phrases": SENTENCES[out], "out": out, "takes": 10, "languages": accents}
        for out, (_, accents) in _SPOKEN.items()
    ]
    return text + "speech: " + json.dumps(speech) + "\n"


def run(name: str, seed: int, settings: list[str]) -> dict[str, Any]:
    """Train with one seed and judge on the keyword's stream; return the report and the minutes."""
    folder = _folder(name, seed, settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / _RECIPE).write_text(recipe_text(name), encoding="utf-8")
    bank = f"material.bank={ROOT / f'accuracy-bank-{name}'}"
    how = [w for s in (f"seed={seed}", f"splits={_SPLITS}", bank, *settings) for w in ("--set", s)]
    stream = _stream(name, seed)
    options = ["--hours", str(HOURS), "--seed", "1", "--out", str(stream), "--overwrite"]
    began_s = time.monotonic()
    _wakebeam("run", str(folder), *how)
    minutes = (time.monotonic() - began_s) / 60
    _wakebeam("stream-set", str(folder), *how, *options)
    said = _wakebeam("evaluate", str(folder / "export"), "--stream", str(stream), "--json")
    result = json.loads(said) | {"minutes": minutes}
    (folder / _RESULT).write_text(json.dumps(result), encoding="utf-8")
    shutil.rmtree(folder / "data")  # gigabytes
    return result


def _stream(name: str, seed: int) -> Path:
    return ROOT / f"accuracy-stream-{name}-{seed}"


def _folder(name: str, seed: int, settings: list[str]) -> Path:
    """Runs with other settings than the preset's have other folders."""
    own = [digest(settings)[:8]] if settings else []
    return ROOT / "-".join(["accuracy", name, str(seed), *own])


def _done(name: str, seed: int, settings: list[str]) -> dict[str, Any] | None:
    """Return the result of a run that there is; of another recipe's there is none."""
    folder = _folder(name, seed, settings)
    try:
        if (folder / _RECIPE).read_text(encoding="utf-8") != recipe_text(name):
            return None
        return json.loads((folder / _RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def fewest_misses(values: dict[str, Any], limit: float) -> float | None:
    """Return the lowest miss rate of any threshold within a limit of false accepts per hour."""
    allowed = [
        p["miss_rate"] for p in values["sweep"] if p["false_accepts_per_hour"] <= limit + 1e-9
    ]
    return min(allowed, default=None)


def row(name: str, seed: int, values: dict[str, Any]) -> list[str]:
    """Return the cells of a run."""
    low, high = (100 * bound for bound in values["miss_interval"])
    return [
        f"{name}, {seed}",
        *(_percent(fewest_misses(values, limit)) for limit in LIMITS),
        f"{_percent(values['miss_rate'])} ({low:.1f} … {high:.1f})",
        f"{values['false_accepts_per_hour']:.2f}",
        f"{values['num_keywords']} in {values['hours']:.2f} h",
        f"{values['minutes']:.1f}",
    ]


def medians(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """Return the cells of a keyword: the median of its runs in each column."""
    found = [[fewest_misses(run, limit) for run in runs] for limit in LIMITS]
    middles = [statistics.median(math.inf if x is None else x for x in of) for of in found]
    return [
        f"{name}, median of {len(runs)}",
        *(_percent(middle if math.isfinite(middle) else None) for middle in middles),
        _percent(statistics.median(run["miss_rate"] for run in runs)),
        f"{statistics.median(run['false_accepts_per_hour'] for run in runs):.2f}",
        "",
        f"{statistics.median(run['minutes'] for run in runs):.1f}",
    ]


def pocketsphinx(name: str) -> list[str]:
    """Return PocketSphinx's cells on the first seed's stream; none where it wasn't heard."""
    interpreter, stream = os.environ.get("POCKETSPHINX_PYTHON"), _stream(name, 1)
    if not stream.exists():
        return []
    kept = ROOT / f"accuracy-pocketsphinx-{name}-{read_stream_set(stream).identity()[:8]}.json"
    if not kept.exists():
        if not interpreter:
            return []
        script = str(Path(__file__).parent / "pocketsphinx_peer.py")
        words = [interpreter, script, str(stream), KEYWORDS[name].pronounced]
        said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        counts = [
            {"threshold": threshold} | _counted(stream, name, heard)
            for threshold, heard in json.loads(said).items()
        ]
        kept.write_text(json.dumps(counts), encoding="utf-8")
    values = {"sweep": json.loads(kept.read_text(encoding="utf-8"))}
    cells = [_percent(fewest_misses(values, limit)) for limit in LIMITS]
    return [f"{name}, PocketSphinx, 1", *cells, "", "", "", ""]


def _counted(stream: Path, name: str, heard: list[tuple[str, float]]) -> dict[str, float]:
    """What [(file, seconds)] are against the stream's labels, by wakebeam's own rule."""
    misses = alarms = events = 0
    hours = 0.0
    for labels in sorted(stream.glob("stream-???.txt")):
        truth = read_events(labels, [name], labels.stem)
        found = [Detection(time_s, name, 1.0) for file, time_s in heard if file == labels.stem]
        matching = match_events(found, truth, hit_window_s=1.0)
        misses, alarms = misses + len(matching.misses), alarms + len(matching.false_accepts)
        events += len(truth)
        hours += soundfile.info(labels.with_suffix(".wav")).duration / 3600
    return {"miss_rate": misses / events, "false_accepts_per_hour": alarms / hours}


def _percent(share: float | None) -> str:
    """A share; "-" where no threshold keeps the limit."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _wakebeam(*words: str) -> str:
    command = [sys.executable, "-m", "wakebeam.cli", *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("keywords", nargs="*", default=list(KEYWORDS), metavar="KEYWORD")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--print", action="store_true", help="train nothing")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    asked = parser.parse_args()
    if not DATA.exists():
        sys.exit(f"the recordings are not there: {DATA}")
    head = [
        "keyword, seed",
        *(f"≤ {limit:g}/h" for limit in LIMITS),
        "own threshold",
        "false accepts/h",
        "events",
        "minutes",
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for name in asked.keywords:
        runs = []
        for seed in range(1, asked.seeds + 1):
            done = _done(name, seed, asked.settings)
            if done is None and not asked.print:
                done = run(name, seed, asked.settings)
            if done:
                runs.append(done)
                _show(row(name, seed, done))
        if runs:
            _show(medians(name, runs))
        if heard := pocketsphinx(name):
            _show(heard)


def _show(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
