"""How fast the input pipeline is, what a training step waits for it, and what memory it needs.

    python -m benchmarks.input                   all parts
    python -m benchmarks.input rate wait         some
    python -m benchmarks.input --small           a few scenes, to see that it runs

Two cores, whatever the machine has. Every figure is the median of five runs with the spread of all
five; ours and a peer's are taken in turns in the same run. The shards lie in memory, so that no
disk is measured. Peers read the same shards: *plain* is TensorFlow's own reading, parsing and
decoding with nothing else (no order, no mixing, no labels), *generator* a Python generator behind
`from_generator`, *py_function* Python's decoding behind `tf.py_function`.

The part `decoding` shows what a cache of decoded records (`training.cache`) saves.
`dataset.encoding: pcm16` is the same thing without a second copy.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.clips import bank_on_disk, recipe
from benchmarks.measuring import RUNS, memory_folder, show, show_ratio

ROOT = Path(__file__).parents[1]
RATE, BATCH, SEED = 16_000, 16, 1
SCENE = {"duration_s": 10.0, "on_infeasible": "condition"}
AUGMENTED = {
    "mixup": {"probability": 0.3},
    "noise": {"probability": 0.5},
    "delay_s": 0.2,
    "gain_db": [-6, 6],
    "masks": {},
}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    scenes: int = 4000
    steps: int = 40
    epoch: int = 10_000


class Data:
    """Shards of training scenes and what reads them.

    Args:
        folder: where they are made.
        count: of scenes.
        scene: the recipe's section.
        dataset: adds to the section of that name.
    """

    def __init__(self, folder: Path, count: int, scene: dict[str, Any], **dataset: Any) -> None:
        from beam_jobs.synthesize import synthesize
        from pipeline.input_dataset import read_dataset, shard_paths

        bank = bank_on_disk(folder / "material", RATE)
        made = recipe(count, scene, RATE, shard_bytes="8MiB", **dataset)
        synthesize(made, bank.directory, str(folder / "data"), num_workers=2)
        self.stored = read_dataset(str(folder / "data"))
        self.paths = shard_paths(self.stored, "train")

    def ours(self, features: bool = False, effects: dict[str, Any] | None = None) -> Any:
        """Return an epoch of batches as a training takes them; raw sound unless `features`."""
        from models.detection_task import label_rule
        from models.detector import Detector
        from pipeline.augmentation import Augmenter, WithPredecessor
        from pipeline.input_dataset import ShardSource, prepare_scenes
        from pipeline.inputs.source import batches
        from schemas.recipe import Recipe
        from schemas.recipe_augmentation import Augmentation

        wanted = recipe(1, SCENE, RATE).model_dump(mode="json", by_alias=True)
        wanted |= {"features": {"family": "log_mel"}, "model": {"family": "stream_tcn"}}
        made = Recipe.model_validate(wanted)
        self.detector = Detector.of(made)
        source: Any = ShardSource(self.stored, "train", seed=SEED)
        augmenter = None
        if effects:
            source = WithPredecessor(source)
            augmentation = Augmentation.model_validate(effects)
            augmenter = Augmenter(augmentation, SEED, RATE, made.features.hop_s)
        prepare = prepare_scenes(
            self.detector.features if features else lambda audio: audio,
            label_rule(made, self.detector, self.stored),
            encoding=self.stored.encoding,
            example_samples=self.stored.example_samples,
            augmenter=augmenter,
        )
        return batches(source, prepare, batch_size=BATCH, epochs=range(100))

    def plain(self) -> Any:
        """Return batches of sound, read and decoded and nothing else."""
        import tensorflow as tf

        from pipeline.input_dataset import _decode
        from schemas import example as names

        spec = {names.AUDIO_ENCODED: tf.io.FixedLenFeature([], tf.string)}

        def decoded(batch: Any) -> Any:
            encoded = tf.io.parse_example(batch, spec)[names.AUDIO_ENCODED]
            return _decode(encoded, self.stored.encoding, self.stored.example_samples)

        return (
            self._records()
            .batch(BATCH, drop_remainder=True)
            .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def generator(self) -> Any:
        """Return the same from a Python generator."""
        import tensorflow as tf

        from pipeline.example_codec import decode_example
        from pipeline.tfrecord import RecordReader

        def sounds() -> Iterator[Any]:
            while True:
                for path in self.paths:
                    with open(path, "rb") as file:
                        for record in RecordReader(file, path):
                            yield decode_example(record).audio.astype("float32") / 32768.0

        spec = tf.TensorSpec([self.stored.example_samples], tf.float32)
        rows = tf.data.Dataset.from_generator(sounds, output_signature=spec)
        return rows.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def py_function(self) -> Any:
        """Return the same by Python's decoding within TensorFlow's reading."""
        import tensorflow as tf

        from pipeline.example_codec import decode_example

        def sound(record: Any) -> Any:
            return decode_example(record.numpy()).audio.astype("float32") / 32768.0

        rows = self._records().map(
            lambda record: tf.ensure_shape(
                tf.py_function(sound, [record], tf.float32), [self.stored.example_samples]
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return rows.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def _records(self) -> Any:
        import tensorflow as tf

        return (
            tf.data.Dataset.from_tensor_slices(self.paths)
            .interleave(
                tf.data.TFRecordDataset, cycle_length=8, num_parallel_calls=tf.data.AUTOTUNE
            )
            .repeat()
        )


def rate(size: Size) -> None:
    """Print scenes a second of ours and of the peers."""
    with memory_folder() as memory, tempfile.TemporaryDirectory(dir=memory) as folder:
        data = Data(Path(folder), size.scenes, SCENE)
        ways = {
            "read, decode, nothing else": data.plain(),
            "ours without a front end": data.ours(),
            "ours with log-mel features": data.ours(features=True),
            "ours with log-mel and all augmentation": data.ours(True, AUGMENTED),
            "a Python generator": data.generator(),
            "tf.py_function": data.py_function(),
        }
        seconds = _in_turns(ways, size.scenes // BATCH)
        for name, each_s in seconds.items():
            show(f"{name}, scenes of 10 s", [BATCH / s for s in each_s], "scenes/s")
        ours = seconds["ours without a front end"]
        for name in ("read, decode, nothing else", "a Python generator", "tf.py_function"):
            show_ratio(f"  ours without a front end to {name}", ours, seconds[name])


def decoding(size: Size) -> None:
    """Print what reading and decoding cost in both encodings: what a cache could save."""
    with memory_folder() as memory, tempfile.TemporaryDirectory(dir=memory) as folder:
        for encoding in ("pcm16", "flac"):
            data = Data(Path(folder) / encoding, size.scenes // 4, SCENE, encoding=encoding)
            each_s = _in_turns({"": data.plain()}, size.scenes // 4 // BATCH)[""]
            show(
                f"reading and decoding, {encoding}", [1000 * s for s in each_s], "ms a batch of 16"
            )


def wait(size: Size) -> None:
    """Print how long a step of the default model waits for its batch."""
    with memory_folder() as memory, tempfile.TemporaryDirectory(dir=memory) as folder:
        data = Data(Path(folder), size.scenes, SCENE)
        for name, batches in (
            ("the default model", data.ours(features=True)),
            ("  with all augmentation", data.ours(True, AUGMENTED)),
        ):
            steps_ms, shares = _steps(data, batches, size.steps)
            show(f"{name}, a step of a batch of 16", steps_ms, "ms")
            show("  of it input wait", [100 * share for share in shares], "%")


def _steps(data: Data, batches: Any, steps: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a step and its share of waiting, five epochs after one that isn't counted."""
    import tf_keras as keras

    from models.losses import masked_loss
    from models.step_clock import StepClock

    clock, values = StepClock(), []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            clock.epoch_begins()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            clock.step_ends()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            values.append(clock.epoch_values())

    network = data.detector.network
    network.compile(keras.optimizers.AdamW(learning_rate=1e-4), masked_loss)
    how = {"epochs": RUNS + 1, "steps_per_epoch": steps, "verbose": 0}
    network.fit(clock.watched(batches), callbacks=[Watch()], **how)
    kept = values[1:]
    return [v["step_ms"] for v in kept], [v["input_wait_fraction"] for v in kept]


def memory(size: Size) -> None:
    """Print the resident size over an epoch, in a process of its own."""
    with memory_folder() as place, tempfile.TemporaryDirectory(dir=place) as folder:
        words = [sys.executable, "-W", "ignore", "-m", "benchmarks.input", "--epoch", folder]
        subprocess.run([*words, str(size.epoch)], cwd=ROOT, check=True)


def _epoch(folder: Path, count: int) -> None:
    data = Data(folder, count, SCENE | {"duration_s": 4.0, "num_negatives": [0, 1]})
    every = count // BATCH // 10
    found = [
        _resident_mib()
        for number, _ in enumerate(data.ours(True, AUGMENTED).take(count // BATCH))
        if number % every == every - 1
    ]
    print(f"resident over {count} examples of 4 s, all augmentation, at each tenth, MiB:")
    print("  " + " ".join(f"{mib:.0f}" for mib in found))
    half = len(found) // 2
    ratios = [b / a for a, b in zip(found[:half], found[-half:], strict=True)]
    show("  second half over the first", ratios, "times")


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _in_turns(ways: dict[str, Any], batches: int) -> dict[str, list[float]]:
    """Seconds a batch of each way, five runs in turns after one that isn't counted.

    A run is an epoch from its beginning, buffers to be filled included; nothing else runs then.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(RUNS + 1):
        for name, data in ways.items():
            began_s = time.perf_counter()
            for _ in data.take(batches):
                pass
            if run:
                seconds[name].append((time.perf_counter() - began_s) / batches)
    return seconds


PARTS: dict[str, Callable[[Size], None]] = {
    "rate": rate,
    "decoding": decoding,
    "wait": wait,
    "memory": memory,
}


def main(words: list[str]) -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    if words[:1] == ["--epoch"]:
        _epoch(Path(words[1]), int(words[2]))
        return
    size = Size(scenes=128, steps=4, epoch=400) if "--small" in words else Size()
    for name in [word for word in words if word != "--small"] or list(PARTS):
        PARTS[name](size)


if __name__ == "__main__":
    main(sys.argv[1:])
