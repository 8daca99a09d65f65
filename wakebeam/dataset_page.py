"""`wakebeam inspect DATASET`: one page: what it holds, and some of it to see and hear.

Figures of the whole come from the manifests. Spacing and the law of placement need the plans, which
are read from up to ten times as many examples as are shown; of those a third each is drawn by
chance, has the worst SNR, or is the most crowded. Where sixty would make a page of more than 25 MB,
as scenes of a minute do, fewer are shown, and the page says so.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs import files
from beam_jobs.stored import read_dataset
from models.plots import histograms, picture_suffix, write_picture
from pipeline.example_codec import decode_example
from pipeline.tfrecord import RecordReader
from schemas.example import StoredExample
from schemas.recipe import SPLITS, Recipe
from schemas.scene import ScenePlan, SceneSpec
from schemas.stored_dataset import StoredDataset
from wakebeam.onset_law import BINS, expected_onsets
from wakebeam.page_file import fill_page, json_text
from wakebeam.sound_pictures import envelope, small_copy, spectrogram

Progress = Callable[[int, int], None]
_SCANNED = 10
_MOST_BARS = 60
_NO_DB = 999.0
_MOST_BYTES, _USUAL = 25_000_000, 60
_BETWEEN = 32  # an example's number among the others, and a comma
_SENTENCE = 300  # which examples these are


def dataset_page(
    data: str,
    *,
    num_examples: int = 60,
    seed: int = 0,
    max_bytes: int | None = None,
    plot: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Return the page.

    Args:
        data: folder or URI of a data set of scenes.
        num_examples: how many are in it to see and hear.
        seed: chooses them.
        max_bytes: of the page; else 25 MB, and for more than sixty examples in proportion.
        plot: a .png or .svg that gets the histograms.
        progress: called with (examples done, examples in all).

    Raises:
        DatasetError: no data set, or a shard is damaged.
    """
    stored = read_dataset(data)
    rng = np.random.default_rng(seed)
    found = list(_scan(stored, rng, _SCANNED * num_examples))
    scanned = [found[i] for i in rng.permutation(len(found))]
    plans = [ScenePlan.from_json(json.loads(example.plan)) for example in scanned]
    hours = _hours(stored, sum(stored.num_examples(split) for split in SPLITS))
    values: dict[str, Any] = {
        "title": stored.first.name,
        "about": f"{hours:.2f} h in {sum(map(stored.num_examples, SPLITS)):,} examples of "
        f"{stored.example_samples / stored.sample_rate_hz:g} s at {stored.sample_rate_hz} Hz, "
        f"{stored.encoding}; identity {stored.identity()[:16]}; data set {data}",
        "duration_s": stored.example_samples / stored.sample_rate_hz,
        "rate_hz": stored.sample_rate_hz,
        "tables": _tables(stored),
        "charts": _charts(stored, plans, rng),
        "examples": [],
    }
    if plot is not None:
        picture = histograms(values["charts"], stored.first.name, picture_suffix(plot))
        write_picture(plot, picture)
    budget = max_bytes or _MOST_BYTES * max(_USUAL, num_examples) // _USUAL
    left = budget - len(fill_page("dataset", stored.first.name, values).encode()) - _SENTENCE
    shown = _shown(scanned, num_examples, left, data, progress)
    wanted = min(num_examples, len(scanned))
    fewer = f", as {wanted} would make a page of more than {budget / 1e6:g} MB"
    values["chosen"] = (
        f"{len(shown)} of {len(scanned)} that were looked at{fewer * (len(shown) < wanted)}: "
        "a third by chance, a third with the worst SNR, a third with the most events"
    )
    values["examples"] = shown
    return fill_page("dataset", stored.first.name, values)


def _shown(
    scanned: Sequence[StoredExample],
    wanted: int,
    max_bytes: int,
    data: str,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """As many as wanted, or as fit; of fewer still a third each."""
    made: dict[str, tuple[dict[str, Any], int]] = {}
    while True:
        chosen, size = _chosen(scanned, wanted), 0
        for number, example in enumerate(chosen):
            if example.example_id not in made:
                one = _example(example, data)
                made[example.example_id] = one, len(json_text(one)) + _BETWEEN
            size += made[example.example_id][1]
            if size > max_bytes:
                wanted = number
                break
            if progress is not None:
                progress(number + 1, len(chosen))
        else:
            return [
                made[one.example_id][0] | {"random": number} for number, one in enumerate(chosen)
            ]


def _scan(stored: StoredDataset, rng: np.random.Generator, most: int) -> Iterator[StoredExample]:
    """Yield examples of shards in an order drawn by chance, all splits alike."""
    by_split = [list(stored.shards(split)) for split in SPLITS]
    for shards in by_split:
        rng.shuffle(shards)  # type: ignore[arg-type]
    per_split = -(-most // max(1, sum(map(bool, by_split))))
    for shards in by_split:
        left = per_split
        for path, entry in shards:
            if left <= 0:
                break
            with files.open_bytes(path) as file:
                for number, record in enumerate(RecordReader(file, entry.name)):
                    if number >= left:
                        break
                    yield decode_example(record)
            left -= entry.num_examples


def _chosen(scanned: Sequence[StoredExample], wanted: int) -> list[StoredExample]:
    """A third as they come, a third by the worst SNR, a third by the most events."""
    orders = (
        list(scanned),
        sorted(scanned, key=_worst_snr_db),
        sorted(scanned, key=lambda example: -len(example.events)),
    )
    chosen: dict[str, StoredExample] = {}
    for number, order in enumerate(orders, start=1):
        for example in order:
            if len(chosen) >= number * wanted // len(orders):
                break
            chosen.setdefault(example.example_id, example)
    return list(chosen.values())


def _worst_snr_db(example: StoredExample) -> float:
    return min((_db(event.snr_db) for event in example.events), default=_NO_DB)


def _db(snr_db: float) -> float:
    """For JSON, which has neither infinity nor NaN."""
    return round(min(max(snr_db, -_NO_DB), _NO_DB), 1) if snr_db == snr_db else _NO_DB


def _example(example: StoredExample, data: str) -> dict[str, Any]:
    rate = example.sample_rate_hz
    lows, highs = envelope(example.audio)
    return {
        "id": example.example_id,
        "split": example.example_id.split("/")[0],
        "worst_snr_db": _worst_snr_db(example),
        "sounding": sum(e.offset_samples - e.onset_samples for e in example.events),
        "events": [
            {
                "label": event.label,
                "kind": event.kind,
                "source": event.source,
                "onset_s": event.onset_samples / rate,
                "offset_s": event.offset_samples / rate,
                "snr_db": _db(event.snr_db),
            }
            for event in example.events
        ],
        "backgrounds": list(dict.fromkeys(example.background_sources)),
        "plan": json.loads(example.plan),
        "regenerate": f"wakebeam regenerate {shlex.quote(data)} {example.example_id} "
        f"--wav {example.example_id.replace('/', '-')}.wav",
        "lows": lows,
        "highs": highs,
        "picture": spectrogram(example.audio, rate),
        "audio": small_copy(example.audio, rate),
    }


def _hours(stored: StoredDataset, num_examples: int) -> float:
    return num_examples * stored.example_samples / stored.sample_rate_hz / 3600.0


def _tables(stored: StoredDataset) -> list[dict[str, Any]]:
    splits = [split for split in SPLITS if stored.num_examples(split)]
    rejected: Counter[str] = Counter()
    for manifest in stored.manifests:
        rejected.update(manifest.num_rejected)
    rows = []
    for split in splits:
        number = stored.num_examples(split)
        hours = f"{_hours(stored, number):.2f}"
        rows.append([split, f"{number:,}", hours, f"{rejected[split]:,}"])
    tables = [
        {"caption": "splits", "head": ["split", "examples", "hours", "rejected"], "rows": rows}
    ]
    for what, column in (("events_by_kind", "kind"), ("events_by_label", "label")):
        counts = {split: _counts(stored, split, what) for split in splits}
        names = sorted({name for of in counts.values() for name in of})
        rows = [[name, *(f"{counts[split][name]:,}" for split in splits)] for name in names]
        tables.append({"caption": f"events by {column}", "head": [column, *splits], "rows": rows})
    licences = [[name, f"{clips:,}"] for name, clips in stored.licences().items()]
    tables.append({"caption": "licences", "head": ["licence", "clips"], "rows": licences})
    return tables


def _counts(stored: StoredDataset, split: str, what: str) -> Counter[str]:
    """A histogram of the manifests, over all generations."""
    counts: Counter[str] = Counter()
    for manifest in stored.manifests:
        counts.update(manifest.counts.get(split, {}).get(what, {}))
    return counts


def _charts(
    stored: StoredDataset, plans: Sequence[ScenePlan], rng: np.random.Generator
) -> list[dict[str, Any]]:
    charts = []
    for what, title, unit, step in (
        ("snr_db", "SNR of events", "dB", 1.0),
        ("duration_s", "length of events", "s", 0.1),
        ("events_per_scene", "events in a scene", "", 1.0),
        ("scene_dbfs", "level of scenes", "dBFS", 1.0),
    ):
        counts: Counter[str] = sum((_counts(stored, split, what) for split in SPLITS), Counter())
        if counts:
            charts.append({"title": title, "unit": unit, "bars": _bars(counts, step)})
    charts.append(_position_chart(stored, plans, rng))
    gaps = [
        (after.onset_samples - before.offset_samples) / plan.sample_rate_hz
        for plan in plans
        for before, after in zip(plan.events, plan.events[1:], strict=False)
        if before.track == after.track
    ]
    if gaps:
        counts = Counter(f"{np.floor(gap * 4) / 4:.2f}" for gap in gaps)
        title = f"silence between two events of a track, {len(plans)} examples"
        charts.append({"title": title, "unit": "s", "bars": _bars(counts, 0.25)})
    return charts


def _bars(counts: Mapping[str, int], step: float) -> list[tuple[float, int]]:
    """A bar for each step from the lowest to the highest key, joined where there are too many."""
    by_bin: Counter[int] = Counter()
    for key, number in counts.items():
        by_bin[round(float(key) / step)] += number
    low, high = min(by_bin), max(by_bin)
    joined = -(-(high - low + 1) // _MOST_BARS)
    return [
        (round(at * step, 6), sum(by_bin[at + i] for i in range(joined)))
        for at in range(low, high + 1, joined)
    ]


def _position_chart(
    stored: StoredDataset, plans: Sequence[ScenePlan], rng: np.random.Generator
) -> dict[str, Any]:
    """Onsets of the examples that were looked at, and what the law expects of those."""
    recipe = Recipe.model_validate(stored.first.run["recipe"])
    spec = SceneSpec.of(recipe)
    free = recipe.scene.polyphony == 1 and not recipe.scene.pinned
    found, expected, num_scenes = np.zeros(BINS), np.zeros(BINS), 0
    for plan in plans:
        of_law = [event for event in plan.events if event.track == 0]
        law = expected_onsets(spec, of_law, rng) if free and of_law else None
        if of_law and (law is not None or not free):
            onsets = np.array([event.onset_samples for event in of_law])
            found += np.bincount(onsets * BINS // plan.num_samples, minlength=BINS)
            expected += 0.0 if law is None else law
            num_scenes += 1
    share = 1.0 / BINS
    chart: dict[str, Any] = {
        "title": f"where in the scene events begin, {num_scenes} examples",
        "unit": "of the scene",
        "bars": [(round(i * share, 2), int(count)) for i, count in enumerate(found)],
    }
    if free:
        chart["title"] += "; the line: what the law of placement expects of them"
        chart["law"] = expected.round(2).tolist()
    return chart
