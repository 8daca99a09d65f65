"""A clip classifier as a SavedModel: frames in, probability and attention out, for any batch.

    serving_default: frames (B, T, 128) float32, num_frames (B,) int32
                     → probability (B,), attention (B, T) (only with attention)

T is `model.num_frames`, or free where the model takes clips of any length. It is refused where it
disagrees with the trained network by more than 1e-4.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from models.clip_judging import probabilities
from models.embeddings_task import load_classifier
from models.model_files import read_card, write_json
from models.zoo.clip_networks import ClipNetwork
from schemas.embedding import NUM_DIMENSIONS
from schemas.errors import ParityError
from schemas.recipe_embeddings import ClipModel

_TOLERANCE = 1e-4


def _served(network: ClipNetwork, num_frames: int | None) -> tf.Module:
    """What is exported: the variables and one function, without Keras' layers around them."""

    def serve(frames: tf.Tensor, num_frames: tf.Tensor) -> dict[str, tf.Tensor]:
        mask = tf.sequence_mask(num_frames, tf.shape(frames)[1], tf.float32)
        mask = tf.ensure_shape(mask, [None, frames.shape[1]])
        logits, weights = network.logits_and_weights(frames, mask)
        out = {"probability": tf.sigmoid(logits[:, 0])}
        return out if weights is None else out | {"attention": weights}

    signature = [
        tf.TensorSpec([None, num_frames, NUM_DIMENSIONS], tf.float32, "frames"),
        tf.TensorSpec([None], tf.int32, "num_frames"),
    ]
    module = tf.Module(name="clip_classifier")
    module.kept = list(network.variables)
    module.serve = tf.function(serve, input_signature=signature)
    return module


def export_classifier(model: Path, out: Path) -> str:
    """Write a SavedModel and `metadata.json`; returns a line for people.

    Raises:
        TrainingError: no trained model.
        ParityError: the export differs from the trained network; nothing is left there.
    """
    card = read_card(model)
    config = ClipModel.model_validate(card["model"])
    network = load_classifier(model)
    free = config.family == "clip_attention" and config.bias != "step"
    served = _served(network, None if free else config.num_frames)
    tf.saved_model.save(served, str(out), signatures={"serving_default": served.serve})
    rng = np.random.default_rng(0)
    mean, scale = network.norm.moving_mean.numpy(), np.sqrt(network.norm.moving_variance.numpy())
    shape = (8, config.num_frames, NUM_DIMENSIONS)
    frames = (mean + scale * rng.standard_normal(shape)).astype(np.float32)
    lengths = rng.integers(1, config.num_frames + 1, 8).astype(np.int32)
    mask = (np.arange(config.num_frames) < lengths[:, None]).astype(np.float32)
    wanted = probabilities(network((frames, mask)).numpy()[:, 0])
    loaded = tf.saved_model.load(str(out)).signatures["serving_default"]
    got = loaded(frames=tf.constant(frames), num_frames=tf.constant(lengths))["probability"]
    difference = float(np.abs(got.numpy() - wanted).max())
    if not difference <= _TOLERANCE:
        tf.io.gfile.rmtree(str(out))
        raise ParityError(
            f"the SavedModel differs from the trained network by {difference:.1e}",
            expected=f"at most {_TOLERANCE:g}",
        )
    write_json(
        out / "metadata.json",
        {"task": card["task"], "name": card["name"], "model": card["model"]}
        | {"parity": {"saved_model": difference}},
    )
    return f"{out}: largest difference in probability from the trained network {difference:.1e}"
