"""The job that writes dates as people do: from a recipe of the task `dates` to shards of pairs.

Pair i is a function of recipe and index (pipeline/date_pairs.py); all else is as for other tasks
(record_set.py).
"""

from __future__ import annotations

import importlib.metadata

from beam_jobs import files, output_state
from beam_jobs.record_set import CloseRecords, RecordJob, make_record_set
from beam_jobs.runners import DEFAULT_NUM_WORKERS
from beam_jobs.shard_line import ShardLine, ShardMaker
from beam_jobs.shard_writer import RecordKind
from beam_jobs.watching import Progress
from pipeline.date_pairs import DatePairSource, PairCounts, decode_pair
from pipeline.date_writing import require_unambiguous, writings_of
from schemas.dataset import divided
from schemas.recipe import SPLITS
from schemas.recipe_dates import DatesRecipe
from schemas.record_set import RecordSet

PAIRS = RecordKind(
    decode=decode_pair,
    counts=PairCounts,
    count_made=lambda counts, example: counts.add(example.pair),
    count_stored=lambda counts, pair: counts.add(pair),
)
_BYTES_EACH = 270.0


def write_date_pairs(
    recipe: DatesRecipe,
    out: str,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[RecordSet, bool]:
    """Make a data set of pairs, go on with a half-made one, or find it complete.

    Args:
        recipe: what to write.
        out: folder or URI.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        overwrite: replace a data set of another recipe.
        progress: called with (pairs done, pairs in all) about twice a second.

    Returns:
        The set, and whether it was there already.

    Raises:
        RequestError: the recipe can't be met or `out` holds something else; nothing was written.
        DatasetError: shards failed; what was finished is kept and the same command goes on.
    """
    data = recipe.dataset
    job = RecordJob(
        out=files.absolute(out),
        task=recipe.task,
        name=recipe.name,
        recipe_json=recipe.model_dump_json(by_alias=True),
        recipe_content=recipe.content(),
        beside={"babel": importlib.metadata.version("babel")},
        shards=divided(data.num_examples.model_dump(), data.examples_per_shard),
        counted=tuple(PairCounts().to_json()),
        num_wanted=data.num_examples.model_dump(),
        software=("wakebeam", "babel", "protobuf", "apache-beam"),
    )
    begun = files.exists(files.join(job.out, output_state.JOB_NAME))
    if overwrite or not begun:  # looks at every day, which takes seconds
        require_unambiguous(writings_of(recipe.dates), recipe.dates)
    for split in SPLITS:
        DatePairSource(recipe, split, job.recipe_digest)  # refuses what can't be
    line = ShardLine(job.shards, make=MakePairs(job), close=CloseRecords(job))
    return make_record_set(
        job,
        line,
        beam_arguments=beam_arguments,
        num_workers=num_workers,
        bytes_each=_BYTES_EACH,
        overwrite=overwrite,
        progress=progress,
    )


class MakePairs(ShardMaker):
    """ShardSpec → ShardReport."""

    kind = PAIRS

    def source(self, split: str) -> DatePairSource:
        """Return a split's pairs."""
        recipe = DatesRecipe.model_validate_json(self._job.recipe_json)
        return DatePairSource(recipe, split, self._job.recipe_digest)
