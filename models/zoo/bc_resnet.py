"""`bc_resnet`: broadcasted residual learning, causal in time.

A block works on a picture of time and frequency with cheap per-channel taps along frequency, then
on its mean over frequency along time, and adds that result to all frequencies:

    y = relu(x + f2(x) + broadcast(f1(mean over frequency of f2(x))))

Input (B, T, 40) features at 10 ms, output (B, T // 2, labels) logits at 20 ms. Conv 2c (4 × 5,
stride 2 × 2); stages of 2, 2, 4, 4 blocks with c, 3c/2, 2c, 5c/2 channels (c = `channels`),
dilations 1, 2, 4, 8 in time, frequency halved before the second and the third; dense to 4c, dense
with bias −3. 58,609 parameters with its defaults and one label; 10,705 with c = 8, 243,649 with 54.

Receptive field: 2.2 s. Latency: one output step, 20 ms. Source: Kim et al., "Broadcasted residual
learning for efficient keyword spotting", Interspeech 2021; here time is padded on the left only and
logits come at each step instead of one for a clip.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.stream_layers import CausalConv2D, CausalDepthwise
from schemas.recipe import BcResnet

_START_BIAS = -3.0
_STAGES = ((2, 2, 1, 1), (2, 3, 2, 2), (4, 4, 4, 2), (4, 5, 8, 1))
"""Of each stage: blocks, channels in halves of c, dilation in time, stride in frequency."""
_MOST_BANDS = 5


class BcResnetNetwork(keras.Model):
    """Features to logits; attributes as in StreamTcnNetwork."""

    frames_per_step = 2
    lookback_frames = 0
    smoothing_steps = 5

    def __init__(self, config: BcResnet, num_features: int, num_labels: int) -> None:
        super().__init__(name="bc_resnet")
        channels = 2 * config.channels
        self._front = CausalConv2D(channels, (4, 5), (2, 2), name="conv")
        self._num_features = num_features
        self._blocks: list[BroadcastBlock] = []
        for number, (blocks, halves, dilation, stride) in enumerate(_STAGES, start=1):
            for i in range(blocks):
                wanted = config.channels * halves // 2
                block = BroadcastBlock(
                    wanted,
                    dilation=dilation,
                    stride=1 if i else stride,
                    changes=wanted != channels or (stride > 1 and not i),
                    dropout=config.dropout,
                    name=f"block_{number}_{i + 1}",
                )
                self._blocks.append(block)
                channels = wanted
        self._widen = keras.layers.Dense(4 * config.channels, use_bias=False, name="widen")
        self._norm = keras.layers.BatchNormalization(momentum=0.98)
        bias = keras.initializers.Constant(_START_BIAS)
        self._head = keras.layers.Dense(num_labels, bias_initializer=bias, name="logits")
        self(tf.zeros([1, 8, num_features]))

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = self._front(features[..., None], training=training)
        for block in self._blocks:
            x = block(x, training=training)
        return self._answer(x, training)

    def stream(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return logits for the next frames, an even number of them, and the new state."""
        x, kept = self._front.stream(features[..., None], state[0])
        new = [kept]
        for block, tail in zip(self._blocks, state[1:], strict=True):
            x, kept = block.stream(x, tail)
            new.append(kept)
        return self._answer(x, False), new

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state of one stream, without the batch axis."""
        blocks = [(block.tail, block.channels) for block in self._blocks]
        return [self._front.state_shape((self._num_features, 1)), *blocks]

    def _answer(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        x = self._widen(tf.reduce_mean(x, axis=2))
        return self._head(tf.nn.relu(self._norm(x, training=training)))


class BroadcastBlock(keras.layers.Layer):
    """(B, T, F, C) → (B, T, ceil(F / stride), channels).

    Args:
        channels: of the output.
        dilation: of the three taps along time.
        stride: along frequency.
        changes: channels or frequencies change, so there is a 1 × 1 convolution before and no way
            around.
        dropout: share of channels dropped from what is broadcast.
        name: of the layer.
    """

    def __init__(
        self, channels: int, *, dilation: int, stride: int, changes: bool, dropout: float, name: str
    ) -> None:
        super().__init__(name=name)
        self.channels = channels
        self._changes = changes
        if changes:
            self._enter = keras.layers.Dense(channels, use_bias=False, name="enter")
            self._enter_norm = keras.layers.BatchNormalization(momentum=0.98)
        self._along_frequency = FrequencyTaps(stride, name="along_frequency")
        self._bands_norm = SubSpectralNorm(name="bands_norm")
        self._along_time = CausalDepthwise(3, dilation, name="along_time")
        self._norm = keras.layers.BatchNormalization(momentum=0.98)
        self._point = keras.layers.Dense(channels, use_bias=False, name="point")
        self._dropout = keras.layers.SpatialDropout1D(dropout)
        self.tail = self._along_time.tail

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Apply to a whole recording."""
        picture = self._picture(x, training)
        profile = self._along_time(tf.reduce_mean(picture, axis=2))
        return self._joined(x, picture, profile, training)

    def stream(self, x: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply to the next frames."""
        picture = self._picture(x, False)
        profile, state = self._along_time.stream(tf.reduce_mean(picture, axis=2), state)
        return self._joined(x, picture, profile, False), state

    def _picture(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        if self._changes:
            x = tf.nn.relu(self._enter_norm(self._enter(x), training=training))
        return self._bands_norm(self._along_frequency(x), training=training)

    def _joined(
        self, x: tf.Tensor, picture: tf.Tensor, profile: tf.Tensor, training: bool
    ) -> tf.Tensor:
        profile = self._norm(profile, training=training)
        profile = self._point(profile * tf.sigmoid(profile))
        profile = self._dropout(profile, training=training)[:, :, None]
        return tf.nn.relu(picture + profile if self._changes else x + picture + profile)


class FrequencyTaps(keras.layers.Layer):
    """(B, T, F, C) → (B, T, ceil(F / stride), C): three per-channel taps along frequency.

    A sum of shifted slices, as in CausalDepthwise.
    """

    def __init__(self, stride: int, name: str) -> None:
        super().__init__(name=name)
        self._stride = stride

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the taps."""
        channels = int(input_shape[-1])
        self.kernel = self.add_weight(
            name="kernel",
            shape=(3, channels),
            initializer=keras.initializers.RandomUniform(-0.5, 0.5, seed=channels),
        )
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply to any number of frames."""
        bins = x.shape[2]
        padded = tf.pad(x, [[0, 0], [0, 0], [1, 1], [0, 0]])
        low, middle, high = (
            padded[:, :, k : k + bins : self._stride] * self.kernel[k] for k in range(3)
        )
        return low + middle + high  # LiteRT has no sum of more than two in integers


class SubSpectralNorm(keras.layers.Layer):
    """(B, T, F, C) → the same: batch norm with statistics of its own for each of up to five bands.

    A band is a group of neighbouring frequencies; their number is the largest that divides F.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the norm."""
        bins = int(input_shape[2])
        self._bands = max(n for n in range(1, _MOST_BANDS + 1) if bins % n == 0)
        self._norm = keras.layers.BatchNormalization(axis=[1, 3], momentum=0.98)
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalise."""
        bins, channels = x.shape[2:]
        bands = tf.reshape(x, [-1, self._bands, bins // self._bands, channels])
        y = self._norm(bands, training=training)
        return tf.reshape(y, [-1, tf.shape(x)[1], bins, channels])
