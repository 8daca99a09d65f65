"""Export of a command classifier: one SavedModel, preprocessing inside, class names with it.

    saved_model/    signatures, each with the outputs predictions, class_ids, class_names
        serving_default  waveform (n, any) float32 in ±1      clips of one length
        single           waveform (any,)                      one clip, without a batch
        clips            samples (all,), row_lengths (n,)     clips of unequal length
        file             path ()                              a 16-bit WAV file of any rate
    metadata.json   class names in the order of the outputs, rate, length, what was measured

`classify_clips` of the loaded module takes a RaggedTensor. All are cut, or filled up with zeros,
at the end. A reloaded copy must give the trained model's logits to 1e-4, compared by key, or
nothing is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.command_classifier import CommandClassifier
from models.commands_evaluation import REPORT_NAME, load_judged_clips
from models.export_folder import METADATA_NAME, publish, require_replaceable
from models.graph_audio import fit_length, read_wav
from models.model_files import read_card, write_json
from pipeline.scratch_folder import scratch_folder
from pipeline.wav_file import write_wav
from schemas.errors import ParityError
from schemas.units import FULL_SCALE

SAVED_MODEL_NAME = "saved_model"
FILE_NAMES = (METADATA_NAME, SAVED_MODEL_NAME)
PARITY_TOLERANCE = 1e-4
_NUM_CHECKED = 8


def export(folder: Path, out: Path) -> str:
    """Export a trained model.

    Args:
        folder: of the model.
        out: the export; an earlier one is replaced when the new one has passed its checks.

    Returns:
        What was written and checked, for people.

    Raises:
        TrainingError: no trained model.
        RequestError: `out` holds something else than an export.
        DatasetError: the clips to check with have changed.
        ParityError: the reloaded model disagrees; `out` is as it was.
    """
    require_replaceable(out, FILE_NAMES)
    card = read_card(folder)
    classifier = CommandClassifier.load(folder)
    clips = load_judged_clips(folder)
    rows = np.concatenate([clips.rows["test"], clips.rows["validation"]])[:_NUM_CHECKED]
    report = folder / REPORT_NAME
    measured = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    with scratch_folder(out.parent, "exporting") as scratch:
        save_classifier(classifier, scratch / SAVED_MODEL_NAME)
        differences = check_parity(classifier, scratch / SAVED_MODEL_NAME, clips.samples[rows])
        metadata = {
            "name": card["name"],
            "class_names": list(classifier.class_names),
            "sample_rate_hz": classifier.sample_rate_hz,
            "clip_samples": classifier.clip_samples,
            "largest_difference": differences,
            "measured_on_test": measured and measured["accuracy"],
            "card": card,
        }
        write_json(scratch / METADATA_NAME, metadata)
        publish(scratch, out, FILE_NAMES)
    return (
        f"{out}: {len(differences)} signatures, {len(rows)} clips each, largest difference in "
        f"logits from the trained model {max(differences.values()):.1e}"
    )


def save_classifier(classifier: CommandClassifier, path: Path) -> None:
    """Write a SavedModel with all signatures."""
    samples = classifier.clip_samples
    names = tf.constant(classifier.class_names)

    def answer(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        finite = tf.debugging.assert_all_finite(waveform, "NaN or infinite samples")
        logits = classifier.logits(finite)
        best = tf.argmax(logits, axis=1)
        return {"predictions": logits, "class_ids": best, "class_names": tf.gather(names, best)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="waveform")])
    def classify(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(fit_length(waveform, samples))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="waveform")])
    def classify_one(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(fit_length(waveform[None], samples))

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
    def classify_clips(clips: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        return answer(clips.to_tensor(shape=[None, samples]))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="samples"),
            tf.TensorSpec([None], tf.int64, name="row_lengths"),
        ]
    )
    def classify_rows(samples: tf.Tensor, row_lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return classify_clips(tf.RaggedTensor.from_row_lengths(samples, row_lengths))

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
    def classify_file(path: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(read_wav(path, classifier.sample_rate_hz, samples)[None])

    module = tf.Module()
    module.kept = list(classifier.network.variables)  # what the functions refer to
    module.classify, module.classify_clips = classify, classify_clips
    module.class_names = tf.Variable(names, trainable=False)  # to be asked after reloading
    signatures = {
        "serving_default": classify,
        "single": classify_one,
        "clips": classify_rows,
        "file": classify_file,
    }
    tf.saved_model.save(module, str(path), signatures=signatures)


def check_parity(
    classifier: CommandClassifier, saved: Path, samples: np.ndarray
) -> dict[str, float]:
    """Compare every signature of a saved model with the classifier it was made of.

    Args:
        classifier: the original.
        saved: folder of the SavedModel; a sound file is written beside it and removed.
        samples: (n, clip_samples) int16.

    Returns:
        {signature: largest difference of a logit}.

    Raises:
        ParityError: more than 1e-4, or other classes.
    """
    signatures = tf.saved_model.load(str(saved)).signatures
    x = samples.astype(np.float32) / FULL_SCALE
    wanted = classifier.score(samples)
    sound = saved.parent / "check.wav"

    def by_file(pcm: np.ndarray) -> dict[str, Any]:
        write_wav(sound, pcm, classifier.sample_rate_hz)
        return signatures["file"](path=tf.constant(str(sound)))

    lengths = np.full(len(x), x.shape[1], np.int64)
    found = {
        "serving_default": [signatures["serving_default"](waveform=tf.constant(x))],
        "single": [signatures["single"](waveform=tf.constant(clip)) for clip in x],
        "clips": [
            signatures["clips"](samples=tf.constant(x.ravel()), row_lengths=tf.constant(lengths))
        ],
        "file": [by_file(pcm) for pcm in samples],
    }
    sound.unlink(missing_ok=True)
    differences = {}
    for name, answers in found.items():
        logits = np.concatenate([answer["predictions"].numpy() for answer in answers])
        named = [text.decode() for answer in answers for text in answer["class_names"].numpy()]
        differences[name] = float(np.abs(logits - wanted).max(initial=0.0))
        expected = [classifier.class_names[i] for i in wanted.argmax(axis=1)]
        if not differences[name] <= PARITY_TOLERANCE or named != expected:
            raise ParityError(
                f"signature {name} differs from the trained model by {differences[name]:.2g}",
                expected=f"at most {PARITY_TOLERANCE:g} in each logit, and the same classes",
                fix="this is a defect of wakebeam; please report it with the model's card",
            )
    return differences
