"""`clip_birnn` and `clip_attention`: is the sound in a clip of embeddings?

((B, T, 128) frames, (B, T) mask) → (B, 1) logits: normalisation, a GRU of 128 in both directions,
and a head: all steps side by side (`clip_birnn`, which needs T = num_frames), or their mean by
attention (`clip_attention`). With their defaults 201,217 and 199,179 parameters, 256 of them not
trainable. The mask goes through all of it: what lies behind a clip's end changes nothing.

Attention, with one vector W and a bias b: u_t = tanh(x_t·W + b_t), a_t = exp(u_t)·mask_t,
a_t /= Σa + 1e-7, output Σ a_t·x_t. A clip that is all masked gives zeros. Since tanh is bounded,
any two weights differ by a factor of e² at most: of ten, each lies in [0.0148, 0.4509].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from schemas.embedding import NUM_DIMENSIONS
from schemas.errors import TrainingError
from schemas.recipe_embeddings import ClipModel

_EPSILON = 1e-3
_MOMENTUM = 0.98
_LEAST_SUM = 1e-7
_NUM_KNOTS = 10


class FittedNormalisation(keras.layers.Layer):
    """γ·(x − mean)/√(variance + ε) + β, mean and variance set once from the training data.

    The same in training and afterwards, for every clip alone: batches play no part.
    """

    def build(self, shape: tf.TensorShape) -> None:
        """Create γ, β (trainable), mean and variance (not)."""
        size = [shape[-1]]
        self.gamma = self.add_weight("gamma", size, initializer="ones")
        self.beta = self.add_weight("beta", size, initializer="zeros")
        self.moving_mean = self.add_weight("mean", size, initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(
            "variance", size, initializer="ones", trainable=False
        )

    def call(
        self, x: tf.Tensor, training: bool = False, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise."""
        scale = self.gamma * tf.math.rsqrt(self.moving_variance + _EPSILON)
        return (x - self.moving_mean) * scale + self.beta


class StepAttention(keras.layers.Layer):
    """(B, T, F) steps and (B, T) mask → (B, T): how much of each step the mean shall have.

    Args:
        num_steps: T that `bias="step"` is made for; shorter clips use its beginning.
        bias: `step`: one a step. `relative`: ten, spread over the clip's own length, and between
            them linear. `none`.
    """

    def __init__(self, num_steps: int, bias: str, **more: Any) -> None:
        super().__init__(**more)
        self._num_steps, self._bias = num_steps, bias

    def build(self, shape: tf.TensorShape) -> None:
        """Create W and b."""
        self.vector = self.add_weight("vector", [shape[-1], 1], initializer="glorot_uniform")
        size = {"step": self._num_steps, "relative": _NUM_KNOTS, "none": 0}[self._bias]
        self.bias = self.add_weight("bias", [size], initializer="zeros") if size else None

    def call(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Return (B, T): non-negative, together 1, or 0 where all is masked."""
        mask = tf.cast(mask, x.dtype)
        scores = tf.squeeze(x @ self.vector, -1)
        grown = tf.exp(tf.tanh(scores + self._biases(mask))) * mask
        return grown / (tf.reduce_sum(grown, axis=1, keepdims=True) + _LEAST_SUM)

    def _biases(self, mask: tf.Tensor) -> tf.Tensor:
        """(B, T) or (T,) biases."""
        steps = mask.shape[1]
        if self.bias is None:
            return tf.zeros([], mask.dtype)
        if self._bias == "step":
            if steps is None or steps > self._num_steps:
                raise TrainingError(
                    f"clips of {steps} frames, and a bias for each of {self._num_steps}",
                    expected=f"at most {self._num_steps} frames",
                    fix="set model.num_frames, or model.bias to relative or none",
                )
            return self.bias[:steps]
        last = tf.maximum(tf.reduce_sum(mask, axis=1, keepdims=True) - 1.0, 1.0)
        place = tf.cast(tf.range(tf.shape(mask)[1]), mask.dtype)[None, :] / last
        place = tf.minimum(place, 1.0) * (_NUM_KNOTS - 1)
        below = tf.minimum(tf.cast(place, tf.int32), _NUM_KNOTS - 2)
        share = place - tf.cast(below, mask.dtype)
        low, high = tf.gather(self.bias, below), tf.gather(self.bias, below + 1)
        return low * (1.0 - share) + high * share


class ClipNetwork(keras.Model):
    """Frames and mask to logits, built for clips of `config.num_frames`."""

    def __init__(self, config: ClipModel) -> None:
        super().__init__(name=config.family)
        self.norm = (
            FittedNormalisation(name="norm")
            if config.normalisation == "fitted"
            else keras.layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name="norm")
        )
        self.gru = keras.layers.Bidirectional(
            keras.layers.GRU(config.units, return_sequences=True, reset_after=True, name="gru"),
            name="birnn",
        )
        self.attention = (
            StepAttention(config.num_frames, config.bias, name="attention")
            if config.family == "clip_attention"
            else None
        )
        self.head = keras.layers.Dense(1, name="logit")
        self._num_frames = config.num_frames
        one = [1, config.num_frames]
        self((tf.zeros([*one, NUM_DIMENSIONS]), tf.ones(one)))

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return (B, 1) float32 logits."""
        frames, mask = inputs
        return self.logits_and_weights(frames, mask, training)[0]

    def logits_and_weights(
        self, frames: tf.Tensor, mask: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return (B, 1) logits and the (B, T) weights of the steps, None without attention."""
        x, weights = self._steps(frames, mask, training), None
        if self.attention is not None:
            weights = self.attention(x, mask=mask)
            x = tf.reduce_sum(x * weights[:, :, None], axis=1)
        else:
            if x.shape[1] != self._num_frames:
                raise TrainingError(
                    f"clips of {x.shape[1]} frames", expected=f"{self._num_frames}: pad them"
                )
            x = tf.reshape(x, [-1, self._num_frames * x.shape[2]])
        return tf.cast(self.head(x), tf.float32), weights

    def set_statistics(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Set what the normalisation takes for the data's: (128,) each."""
        self.norm.moving_mean.assign(mean)
        self.norm.moving_variance.assign(variance)

    def _steps(self, frames: tf.Tensor, mask: tf.Tensor, training: bool) -> tf.Tensor:
        """(B, T, 2 · units), zero where masked."""
        seen = tf.cast(mask, tf.bool)
        # Whatever lies behind the end, were it NaN, never gets into a product.
        x = self.norm(tf.where(seen[:, :, None], frames, 0.0), training=training, mask=seen)
        x = self.gru(x, mask=seen, training=training)
        return x * tf.cast(mask, x.dtype)[:, :, None]
