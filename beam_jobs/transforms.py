"""The synthesis of scenes as steps of shard_line.py's line: what a worker opens, makes and counts.

Beam's metrics are an extra: they may count twice, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from apache_beam.metrics import Metrics

from beam_jobs.bank_store import open_bank
from beam_jobs.job import SynthesisJob
from beam_jobs.manifest_writer import build_manifest
from beam_jobs.shard_line import SetCloser, ShardLine, ShardMaker
from beam_jobs.shard_writer import RecordKind, check_address
from pipeline.example_codec import decode_example
from pipeline.scene_source import SceneSource
from pipeline.shard_counts import ShardCounts
from schemas.dataset import Manifest, ShardEntry, ShardReport
from schemas.errors import DatasetError
from schemas.example import StoredExample


def _check_scene(example: StoredExample, entry: ShardEntry, manifest: Manifest) -> None:
    check_address(example, entry, manifest)
    received = (example.sample_rate_hz, len(example.audio))
    if received != (manifest.sample_rate_hz, manifest.example_samples):
        raise DatasetError(
            f"{example.example_id} has {received[1]} samples at {received[0]} Hz",
            expected=f"{manifest.example_samples} at {manifest.sample_rate_hz} Hz",
        )
    if not example.audio.any():
        raise DatasetError(f"{example.example_id} is silent")


SCENES = RecordKind(
    decode=decode_example,
    counts=ShardCounts,
    count_made=lambda counts, example: counts.add(
        example.scene.audio, example.plan.sample_rate_hz, example.events
    ),
    count_stored=lambda counts, stored: counts.add(
        stored.audio, stored.sample_rate_hz, stored.events
    ),
    check=_check_scene,
)


class SynthesizeScenes(ShardLine):
    """A pipeline's beginning → the folder of the closed generation."""

    def __init__(self, job: SynthesisJob) -> None:
        super().__init__(job.shards, make=MakeShard(job), close=CloseDataset(job))


class MakeShard(ShardMaker):
    """ShardSpec → ShardReport. Opens the bank once a worker."""

    kind = SCENES

    def setup(self) -> None:
        """Open what all shards of this worker share."""
        self._bank = open_bank(self._job.bank, self._job.bank_digest)

    def source(self, split: str) -> SceneSource:
        """Return a split's scenes."""
        return SceneSource(self._job.recipe, self._bank, split)

    def measure(self, report: ShardReport) -> None:
        """Add what a scene is."""
        super().measure(report)
        Metrics.counter("wakebeam", "scenes").inc(report.num_examples)
        Metrics.counter("wakebeam", "scenes_rejected").inc(len(report.rejects))
        for kind, number in report.counts.get("events_by_kind", {}).items():
            Metrics.counter("wakebeam", f"events_{kind}").inc(number)
        snrs = Metrics.distribution("wakebeam", "snr_db")
        for snr_db, number in report.counts.get("snr_db", {}).items():
            for _ in range(number):
                snrs.update(int(snr_db))
        if report.num_examples and not report.reused:
            ms_each = round(1000 * report.seconds / report.num_examples)
            Metrics.distribution("wakebeam", "ms_a_scene").update(ms_each)


class CloseDataset(SetCloser):
    """All ShardReports → manifest.json, or failures.json."""

    def manifest(self, reports: Sequence[ShardReport]) -> Manifest:
        """Return the manifest of the generation."""
        now_s = time.time()
        return build_manifest(
            reports,
            job=self._job,
            bank=open_bank(self._job.bank, self._job.bank_digest),
            run={
                "finished_unix_s": round(now_s, 3),
                "duration_s": round(now_s - self._job.started_unix_s, 3),
                "worker_s": round(sum(report.seconds for report in reports), 3),
                "shards_reused": sum(report.reused for report in reports),
            },
        )
