"""The synthesis job: from a recipe and a clip bank to a complete data set.

One straight line for every engine, because the only distributed one that runs on a few machines
of one's own (Dask) is wrong for anything else:

    shard specs → Reshuffle → whole shard (temporary name, rename) → ShardReport → manifest last

A bundle is one whole shard. No audio travels between workers. Shards that an earlier run left are
checked and kept. A shard that can't be made is reported by name and fails the job.

    python -m beam_jobs.synthesize --recipe recipe.yaml --bank bank/0123… --out data
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineRunner

from beam_jobs import files, output_state
from beam_jobs.manifest_writer import build_manifest, close
from beam_jobs.runners import DEFAULT_NUM_WORKERS, beam_options, make_runner
from beam_jobs.shard_writer import read_shard, write_shard
from pipeline.clip_bank import ClipBank
from pipeline.recipe_file import load_recipe
from pipeline.scene_source import SceneSource
from schemas.dataset import MANIFEST_NAME, Manifest, ShardReport, ShardSpec, plan_shards
from schemas.errors import DatasetError, WakebeamError
from schemas.recipe import Recipe

Progress = Callable[[int, int], None]
_POLL_S = 0.5


@dataclass(frozen=True)
class SynthesisResult:
    """What a call of `synthesize` did.

    Attributes:
        manifest: of the complete data set.
        already_complete: nothing was left to do.
        num_reused, num_made: shards kept from an earlier run, and made by this one.
    """

    manifest: Manifest
    already_complete: bool
    num_reused: int
    num_made: int


class MakeShard(beam.DoFn):
    """ShardSpec → ShardReport. Opens the bank once a worker; renders nothing that is there."""

    def __init__(self, *, recipe_json: str, bank_directory: str, out: str) -> None:
        self._recipe_json = recipe_json
        self._bank_directory = bank_directory
        self._out = out
        self._sources: dict[str, SceneSource] = {}

    def setup(self) -> None:
        """Open what all shards of this worker share."""
        self._recipe = Recipe.model_validate_json(self._recipe_json)
        self._bank = ClipBank.open(Path(self._bank_directory))
        self._digest = self._recipe.content_digest(self._bank.digest)

    def process(self, spec: ShardSpec) -> Iterator[ShardReport]:
        """Make, or check and keep, one shard."""
        try:
            report = self._kept(spec) or self._made(spec)
        except Exception as error:
            text = str(error) if isinstance(error, WakebeamError) else repr(error)
            yield ShardReport(spec.name, spec.split, spec.shard_index, "failed", error=text)
            return
        _measure(report)
        yield report

    def _kept(self, spec: ShardSpec) -> ShardReport | None:
        if not files.exists(files.join(self._out, spec.name)):
            return None
        try:
            return read_shard(spec, out=self._out, recipe_digest=self._digest)
        except DatasetError:
            return None  # damaged: made again under the same name

    def _made(self, spec: ShardSpec) -> ShardReport:
        if spec.split not in self._sources:
            self._sources[spec.split] = SceneSource(self._recipe, self._bank, spec.split)
        return write_shard(spec, out=self._out, source=self._sources[spec.split])


class CloseDataset(beam.DoFn):
    """All ShardReports → manifest.json, or failures.json."""

    def __init__(
        self, *, recipe_json: str, bank_directory: str, out: str, started_s: float
    ) -> None:
        self._recipe_json = recipe_json
        self._bank_directory = bank_directory
        self._out = out
        self._started_s = started_s

    def process(self, reports: Iterable[ShardReport]) -> Iterator[str]:
        """Write the file that closes the data set and yield its name."""
        reports = list(reports)
        bank = ClipBank.open(Path(self._bank_directory))
        recipe = Recipe.model_validate_json(self._recipe_json)
        now_s = time.time()
        manifest = build_manifest(
            reports,
            recipe=recipe,
            bank_digest=bank.digest,
            clips=bank.clips,
            rejects=bank.rejects,
            run={
                "finished_unix_s": round(now_s, 3),
                "duration_s": round(now_s - self._started_s, 3),
                "recipe": json.loads(self._recipe_json),
                "bank_directory": self._bank_directory,
                "shards_reused": sum(report.reused for report in reports),
            },
        )
        limit = recipe.dataset.max_reject_fraction
        close(self._out, reports, manifest, max_reject_fraction=limit)
        yield self._out


def synthesize(
    recipe: Recipe,
    bank_directory: Path,
    out: str,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SynthesisResult:
    """Make a data set, go on with a half-made one, or find it complete.

    Args:
        recipe: what to make.
        bank_directory: a clip bank that all workers can read.
        out: folder or URI of the data set.
        beam_arguments: options for Beam, e.g. `["--runner=DataflowRunner"]`.
        num_workers: local processes, where no runner is named.
        overwrite: replace a data set of another recipe.
        progress: called with (examples done, examples in all) about twice a second.

    Raises:
        RequestError: the recipe can't be met or `out` holds something else; nothing was written.
        DatasetError: shards failed; what was finished is kept and the same command goes on.
    """
    options = beam_options(beam_arguments or [], num_workers=num_workers)
    bank = ClipBank.open(bank_directory)
    shards = plan_shards(recipe)
    runner = make_runner(options)
    recipe_digest = recipe.content_digest(bank.digest)
    splits = sorted({shard.split for shard in shards})
    sources = [SceneSource(recipe, bank, split) for split in splits]  # refuse what can't be made
    replaces = overwrite and files.exists(files.join(out, output_state.JOB_NAME))
    # Refuses before anything is written, and leaves what is complete alone.
    if not replaces and output_state.examine(out, recipe, recipe_digest, shards) == "complete":
        return SynthesisResult(read_manifest(out), True, len(shards), 0)
    with output_state.alone(out):
        try:
            state = output_state.examine(out, recipe, recipe_digest, shards)
        except WakebeamError:
            if not overwrite:
                raise
            output_state.clear(out)
            state = output_state.examine(out, recipe, recipe_digest, shards)
        if state == "complete":
            return SynthesisResult(read_manifest(out), True, len(shards), 0)
        output_state.begin(out, recipe_digest, shards)
        for source in sources:
            with contextlib.suppress(Exception):  # the job says of each scene why it can't be made
                _ = source[0]  # compiles the loops once, before workers would at the same time
        return _run(recipe, bank_directory, out, shards, runner, options, progress)


def _run(
    recipe: Recipe,
    bank_directory: Path,
    out: str,
    shards: tuple[ShardSpec, ...],
    runner: PipelineRunner,
    options: PipelineOptions,
    progress: Progress | None,
) -> SynthesisResult:
    """Run the job in a folder that is prepared for it."""
    recipe_json = recipe.model_dump_json(by_alias=True)
    pipeline = beam.Pipeline(runner=runner, options=options)
    shared = {"recipe_json": recipe_json, "bank_directory": str(bank_directory), "out": out}
    _ = (
        pipeline
        | "Shard specs" >> beam.Create(shards)  # ShardSpec
        | "Spread" >> beam.Reshuffle()
        | "Make shards" >> beam.ParDo(MakeShard(**shared))  # ShardReport
        | "Gather reports" >> beam.CombineGlobally(_as_list).without_defaults()
        | "Close" >> beam.ParDo(CloseDataset(**shared, started_s=time.time()))  # folder
    )
    total = sum(shard.stop - shard.start for shard in shards)
    with _Watch(out, recipe, total, progress):
        try:
            pipeline.run().wait_until_finish()
        except RuntimeError as error:
            raise DatasetError(
                f"the job stopped: {str(error).strip().splitlines()[-1][:300]}",
                fix="a worker may have been killed, as for want of memory; the same command keeps "
                "the shards that are done and goes on",
            ) from error
    return _outcome(out)


def read_manifest(out: str) -> Manifest:
    """Read a data set's manifest.

    Raises:
        DatasetError: there is none, so the data set isn't complete.
    """
    path = files.join(out, MANIFEST_NAME)
    if not files.exists(path):
        raise DatasetError(
            f"{out} has no {MANIFEST_NAME}",
            expected="a complete data set",
            fix="run `wakebeam synth` to make or finish it",
        )
    return Manifest.from_json(files.read_text(path), where=path)


def run(argv: list[str] | None = None) -> SynthesisResult:
    """Run the job from a command line; options that aren't ours go to Beam."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--bank", type=Path, required=True, help="folder of a clip bank")
    parser.add_argument("--out", required=True, help="folder or URI of the data set")
    parser.add_argument("--num-workers", type=int, default=DEFAULT_NUM_WORKERS)
    parser.add_argument("--overwrite", action="store_true")
    known, beam_arguments = parser.parse_known_args(argv)
    return synthesize(
        load_recipe(known.recipe),
        known.bank,
        known.out,
        beam_arguments=beam_arguments,
        num_workers=known.num_workers,
        overwrite=known.overwrite,
    )


def _measure(report: ShardReport) -> None:
    """Beam's own counters, an extra: they may count twice and some engines have none."""
    Metrics.counter("wakebeam", "shards_reused" if report.reused else "shards_made").inc()
    Metrics.counter("wakebeam", "scenes").inc(report.num_examples)
    Metrics.counter("wakebeam", "scenes_rejected").inc(len(report.rejects))
    Metrics.counter("wakebeam", "bytes").inc(report.num_bytes)
    for kind, number in report.counts.get("events_by_kind", {}).items():
        Metrics.counter("wakebeam", f"events_{kind}").inc(number)
    if report.num_examples and not report.reused:
        ms_each = round(1000 * report.seconds / report.num_examples)
        Metrics.distribution("wakebeam", "ms_a_scene").update(ms_each)


def _as_list(reports: Iterable[ShardReport | list[ShardReport]]) -> list[ShardReport]:
    flat: list[ShardReport] = []
    for report in reports:
        flat.extend(report) if isinstance(report, list) else flat.append(report)
    return flat


def _outcome(out: str) -> SynthesisResult:
    failures_path = files.join(out, output_state.FAILURES_NAME)
    if files.exists(failures_path):
        failures = json.loads(files.read_text(failures_path))
        name, reason = next(iter(failures.items()))
        more = f"; {len(failures) - 1} more failed" if len(failures) > 1 else ""
        raise DatasetError(
            f"the data set is not complete: {name}: {reason}{more}",
            fix=f"see {failures_path}; the same command keeps the shards that are done",
        )
    manifest = read_manifest(out)
    reused = int(manifest.run["shards_reused"])
    return SynthesisResult(manifest, False, reused, len(manifest.shards) - reused)


class _Watch:
    """Calls `progress` from a thread while the job runs; counts bytes, since engines differ."""

    def __init__(self, out: str, recipe: Recipe, total: int, progress: Progress | None) -> None:
        self._out = out
        self._total = total
        self._progress = progress
        samples = recipe.scene.duration_s * recipe.sample_rate_hz
        self._bytes_each = samples * (2.0 if recipe.dataset.encoding == "pcm16" else 1.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        if self._progress is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._progress is not None:
            self._thread.join()

    def _watch(self) -> None:
        while self._progress is not None and not self._stop.wait(_POLL_S):
            done = int(output_state.bytes_written(self._out) / self._bytes_each)
            self._progress(min(done, self._total), self._total)


if __name__ == "__main__":
    run()
