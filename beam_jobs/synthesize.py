"""The synthesis job: from a recipe and a clip bank to a complete data set.

transforms.py has the pipeline. Here a folder is examined and locked, what can't be made is refused
before anything is written, the pipeline is run, and its outcome read. Shards that an earlier run
left are checked and kept. A shard that can't be made is reported by name and fails the job.

    python -m beam_jobs.synthesize --recipe recipe.yaml --bank bank/0123… --out data
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from beam_jobs import files, output_state
from beam_jobs.appending import job_of_grown, later_generations, next_generation
from beam_jobs.bank_store import open_bank
from beam_jobs.dataflow import JobNotStarted
from beam_jobs.job import SynthesisJob
from beam_jobs.runners import DEFAULT_NUM_WORKERS, Engine
from beam_jobs.running import run_job
from beam_jobs.stored import read_manifest
from beam_jobs.transforms import SynthesizeScenes
from beam_jobs.watching import Progress
from pipeline.clip_bank import ClipBank
from pipeline.recipe_file import load_recipe
from pipeline.scene_source import SceneSource
from schemas.dataset import Manifest, plan_shards
from schemas.errors import RequestError
from schemas.recipe import Recipe


@dataclass(frozen=True)
class SynthesisResult:
    """What a call of `synthesize` did.

    Attributes:
        manifest: of the generation that is complete now.
        already_complete: nothing was left to do.
        num_reused, num_made: shards kept from an earlier run, and made by this one.
    """

    manifest: Manifest
    already_complete: bool
    num_reused: int
    num_made: int


def synthesize(
    recipe: Recipe,
    bank: str | Path,
    out: str,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
    append: bool = False,
    progress: Progress | None = None,
) -> SynthesisResult:
    """Make a data set, go on with a half-made one, or find it complete.

    Args:
        recipe: what to make.
        bank: folder or URI of a clip bank that all workers can read.
        out: folder or URI of the data set.
        beam_arguments: options for Beam, e.g. `["--runner=DataflowRunner"]`.
        num_workers: local processes, where no runner is named.
        overwrite: replace a data set of another recipe; with `append`, only the last generation,
            if it is unfinished.
        append: add the recipe's examples to the complete data set that is there, as a new
            generation; finishes the one that a killed job left.
        progress: called with (examples done, examples in all) about twice a second.

    Raises:
        RequestError: the recipe can't be met or `out` holds something else; nothing was written.
        JobNotStarted: a dry run or a template on Dataflow was asked for, and is done.
        DatasetError: shards failed; what was finished is kept and the same command goes on.
    """
    bank, out = files.absolute(str(bank)), files.absolute(out)
    engine = Engine(
        beam_arguments or [],
        num_workers=num_workers,
        num_shards=len(plan_shards(recipe)),
        places=(bank, out),
    )
    clips = open_bank(bank)
    job = SynthesisJob(recipe.model_dump_json(by_alias=True), bank, clips.digest, out)
    if append:
        following = next_generation(job, clips)

        def require_next() -> None:
            if next_generation(job, clips) != following:
                raise RequestError(
                    f"another job has appended to {out} meanwhile",
                    fix="give the same command again: it adds its examples behind those",
                )

        return _make(
            following,
            clips,
            engine,
            out,
            overwrite=overwrite,
            progress=progress,
            require=require_next,
        )
    if not overwrite:
        job = job_of_grown(job)
    result = _make(job, clips, engine, out, overwrite=overwrite, progress=progress)
    for later in later_generations(out):  # lost shards of theirs are made anew too
        again = _make(later, clips, engine, out, overwrite=False, progress=progress)
        if not again.already_complete:
            result = again
    return result


def _make(
    job: SynthesisJob,
    clips: ClipBank,
    engine: Engine,
    out: str,
    *,
    overwrite: bool,
    progress: Progress | None,
    require: Callable[[], None] = lambda: None,
) -> SynthesisResult:
    """Make one generation of the data set at `out`, or find it complete.

    `clips` is the bank that is open; a generation of another one opens its own. `require` raises
    where the job is no longer wanted.
    """
    replaces = overwrite and files.exists(files.join(job.out, output_state.JOB_NAME))
    # Refuses before anything is written, and leaves what is complete alone.
    if not replaces and output_state.examine(job) == "complete":
        require()
        return SynthesisResult(read_manifest(job.out), True, len(job.shards), 0)
    if clips.digest != job.bank_digest:
        clips = open_bank(job.bank, job.bank_digest)
    splits = sorted({shard.split for shard in job.shards})
    sources = [SceneSource(job.recipe, clips, split) for split in splits]  # refuse what can't be

    def compile_loops() -> None:
        """Once, before workers would at the same time."""
        for source in sources:
            with contextlib.suppress(Exception):  # the job says of each scene why it can't be made
                _ = source[0]

    made = run_job(
        job,
        engine,
        SynthesizeScenes(job),
        lock=out,
        overwrite=overwrite,
        require=require,
        prepare=compile_loops,
        bytes_each=_bytes_each(job),
        progress=progress,
    )
    manifest = read_manifest(job.out)
    if not made:
        return SynthesisResult(manifest, True, len(job.shards), 0)
    reused = int(manifest.run["shards_reused"])
    return SynthesisResult(manifest, False, reused, len(manifest.shards) - reused)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of our own options; a Flex Template's parameters are among them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--recipe", required=True, help="file or URI of a recipe")
    parser.add_argument("--bank", required=True, help="folder or URI of a clip bank")
    parser.add_argument("--out", required=True, help="folder or URI of the data set")
    parser.add_argument("--num-workers", type=int, default=DEFAULT_NUM_WORKERS)
    parser.add_argument("--overwrite", action="store_true")
    return parser


def run(argv: list[str] | None = None) -> SynthesisResult | None:
    """Run the job from a command line; options that aren't ours go to Beam.

    Returns:
        None where the job was only prepared, as for a Flex Template.
    """
    known, beam_arguments = command_line().parse_known_args(argv)
    with contextlib.suppress(JobNotStarted):
        return synthesize(
            _recipe(known.recipe),
            known.bank,
            known.out,
            beam_arguments=beam_arguments,
            num_workers=known.num_workers,
            overwrite=known.overwrite,
        )
    return None


def _recipe(location: str) -> Recipe:
    """Read a recipe, wherever it lies."""
    if not files.is_uri(location):
        return load_recipe(Path(location))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, location.rsplit("/", 1)[-1])
        if files.exists(location):
            copy.write_bytes(files.open_bytes(location).read())
        return load_recipe(copy)


def _bytes_each(job: SynthesisJob) -> float:
    """About how long a record is."""
    samples = job.recipe.scene.duration_s * job.recipe.sample_rate_hz
    return samples * (2.0 if job.recipe.dataset.encoding == "pcm16" else 1.2)


if __name__ == "__main__":
    run()
