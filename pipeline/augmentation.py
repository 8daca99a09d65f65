"""Augmentation in the graph: scenes that differ from epoch to epoch, and are always the same again.

All that is drawn follows from (seed, epoch, example id) alone, never from a batch, a worker or what
was drawn before: a key is the hash of the three, and each effect draws from the key and a number of
its own. Examples are changed one at a time, so that not even rounding depends on their batch.
Effects come in this order, each only where the recipe asks for it:

    mixup   y = (x + g·z) / sqrt(1 + g²), z the example before this one in the epoch's order, so the
            order, which is a source's own, counts too; events of both, so labels are the larger.
            The first example of an epoch is mixed with itself.
    noise   n with power ~ 1/f^c from 50 Hz on, at an SNR against the scene's background: the
            lower quartile of the power in frames of 50 ms. Against the scene's mean, noise would be
            louder wherever a keyword is, and that is easier to learn than the keyword.
    delay   the sound begins later, after zeros as a stream does, and its events with it; what goes
            over the end is lost. No keyword loses its beginning; labels stay exact to the sample.
    gain    then clipped to full scale, as a microphone would.
    masks   stretches of frames and bands of features become the scene's mean of each feature, which
            says nothing. Keep stretches shorter than keywords: labels stay.

tfio.audio.freq_mask and time_mask draw from the global generator and take no seed (tensorflow-io
0.37.1), so a mask could not be drawn again; ours are of tf.random.stateless_uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from pipeline.inputs.source import ExampleSource
from pipeline.inputs.step_labels import Events
from schemas.recipe_augmentation import Augmentation, Masks

_MIXUP, _NOISE, _WAVE, _DELAY, _GAIN, _MASKS = range(6)  # drawn from one key, never renumbered
_FRAME_S = 0.05
_LOWEST_HZ = 50.0


class WithPredecessor:
    """A source's records in pairs with the one before in the epoch's order; what mixup takes."""

    def __init__(self, source: ExampleSource) -> None:
        self.num_examples = source.num_examples
        self._source = source

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return pairs of () string records."""

        def pair(before: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
            return record, (record, tf.where(tf.equal(before, ""), record, before))

        return self._source.records(epoch).scan(tf.constant(""), pair)


@dataclass(frozen=True)
class Augmenter:
    """What a recipe's `training.augmentation` does to batches.

    Attributes:
        config: which effects.
        seed: of the training.
        sample_rate_hz: of the sound.
        frame_s: between two frames of the features.
    """

    config: Augmentation
    seed: int
    sample_rate_hz: int
    frame_s: float

    def keys(self, ids: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        """(B,) example ids → (B,) int64."""
        address = tf.strings.join([ids, tf.strings.as_string(epoch), str(self.seed)], "|")
        return tf.strings.to_hash_bucket_strong(address, 2**62, key=[7, 11])

    def sounds(
        self,
        keys: tf.Tensor,
        audio: tf.Tensor,
        events: Events,
        before: tuple[tf.Tensor, Events] | None = None,
    ) -> tuple[tf.Tensor, Events]:
        """Change (B, n) float32 in ±1 and its events.

        Args:
            keys: (B,) int64.
            audio: the sound.
            events: in it.
            before: sound and events of the examples before these, for mixup.
        """
        other_audio, other_events = before or (audio, None)

        def one(row: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            key, sound, other = row
            sound, chosen = self._mixed(key, sound, other)
            sound = self._noisy(key, sound)
            sound, samples = self._delayed(key, sound)
            return self._louder(key, sound), chosen, samples

        audio, chosen, samples = tf.map_fn(
            one,
            (keys, audio, other_audio),
            fn_output_signature=(
                tf.TensorSpec(audio.shape[1:], tf.float32),
                tf.TensorSpec([], tf.bool),
                tf.TensorSpec([], tf.int64),
            ),
        )
        if other_events is not None:
            events = events.with_others(other_events, chosen)
        return audio, events.delayed(samples)

    def features(self, keys: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Mask (B, frames, features)."""
        masks = self.config.masks
        if masks is None:
            return features
        return tf.map_fn(
            lambda row: self._masked(row[0], row[1], masks),
            (keys, features),
            fn_output_signature=tf.TensorSpec(features.shape[1:], tf.float32),
        )

    def _mixed(
        self, key: tf.Tensor, sound: tf.Tensor, other: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        config = self.config.mixup
        if config is None:
            return sound, tf.constant(False)
        drawn = _uniform(key, _MIXUP, 2)
        chosen = drawn[0] < config.probability
        gain = _from_db(_between(drawn[1], config.level_db))
        return tf.where(chosen, (sound + gain * other) / tf.sqrt(1.0 + gain**2), sound), chosen

    def _noisy(self, key: tf.Tensor, sound: tf.Tensor) -> tf.Tensor:
        config = self.config.noise
        if config is None:
            return sound
        drawn = _uniform(key, _NOISE, 3)
        snr = _from_db(_between(drawn[1], config.snr_db))
        level = tf.sqrt(self._background_power(sound)) / snr
        noise = self._coloured(key, _between(drawn[2], config.colour), sound.shape[0])
        return tf.where(drawn[0] < config.probability, sound + level * noise, sound)

    def _delayed(self, key: tf.Tensor, sound: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = sound.shape[0]
        longest = min(round(self.config.delay_s * self.sample_rate_hz), length)
        if not longest:
            return sound, tf.constant(0, tf.int64)
        samples = _whole(_uniform(key, _DELAY, 1)[0], longest)
        late = tf.concat([tf.zeros([samples]), sound[: length - samples]], axis=0)
        return tf.ensure_shape(late, [length]), samples

    def _louder(self, key: tf.Tensor, sound: tf.Tensor) -> tf.Tensor:
        if self.config.gain_db is None:
            return sound
        gain = _from_db(_between(_uniform(key, _GAIN, 1)[0], self.config.gain_db))
        return tf.clip_by_value(gain * sound, -1.0, 1.0)

    def _masked(self, key: tf.Tensor, features: tf.Tensor, masks: Masks) -> tf.Tensor:
        drawn = _uniform(key, _MASKS, 2 * (masks.num_times + masks.num_bands))
        at_time, at_band = tf.split(drawn, [2 * masks.num_times, 2 * masks.num_bands])
        frames, bins = tf.shape(features)[0], features.shape[1]
        hidden = _stretches(at_time, frames, round(masks.time_s / self.frame_s))[:, None]
        hidden |= _stretches(at_band, bins, round(masks.band_share * bins))[None, :]
        return tf.where(hidden, tf.reduce_mean(features, axis=0, keepdims=True), features)

    def _coloured(self, key: tf.Tensor, colour: tf.Tensor, length: int) -> tf.Tensor:
        """(length,) float32 of mean power 1."""
        padded = 1 << (length - 1).bit_length()
        white = tf.random.stateless_normal([padded], _seed(key, _WAVE), alg="philox")
        hz = tf.range(padded // 2 + 1, dtype=tf.float32) * (self.sample_rate_hz / padded)
        above = tf.math.log(tf.maximum(hz, 1.0) / _LOWEST_HZ)
        shape = tf.where(hz >= _LOWEST_HZ, tf.exp(-0.5 * colour * above), 0.0)
        noise = tf.signal.irfft(tf.signal.rfft(white) * tf.cast(shape, tf.complex64))[:length]
        return noise / tf.sqrt(tf.reduce_mean(noise**2))

    def _background_power(self, sound: tf.Tensor) -> tf.Tensor:
        """() the lower quartile of the power in frames."""
        length = min(round(_FRAME_S * self.sample_rate_hz), sound.shape[0])
        power = tf.reduce_mean(tf.signal.frame(sound**2, length, length), axis=-1)
        return tf.sort(power)[power.shape[0] // 4]


def _seed(key: tf.Tensor, effect: int) -> tf.Tensor:
    return tf.stack([key, tf.constant(effect, tf.int64)])


def _uniform(key: tf.Tensor, effect: int, num: int) -> tf.Tensor:
    """(num,) float32 in [0, 1)."""
    return tf.random.stateless_uniform([num], _seed(key, effect), alg="philox")


def _between(u: tf.Tensor, limits: tuple[float, float]) -> tf.Tensor:
    return limits[0] + u * (limits[1] - limits[0])


def _from_db(level_db: tf.Tensor) -> tf.Tensor:
    return tf.pow(10.0, level_db / 20.0)


def _whole(u: tf.Tensor, most: tf.Tensor | int) -> tf.Tensor:
    """Numbers in [0, 1) to equally likely whole ones in 0 … most."""
    return tf.cast(tf.cast(u, tf.float64) * (tf.cast(most, tf.float64) + 1.0), tf.int64)


def _stretches(drawn: tf.Tensor, length: tf.Tensor | int, longest: int) -> tf.Tensor:
    """(2·stretches,) in [0, 1) → (length,) bool: whether a position is within a stretch."""
    length = tf.cast(length, tf.int64)
    width = _whole(drawn[0::2], tf.minimum(tf.constant(longest, tf.int64), length))[:, None]
    first = _whole(drawn[1::2][:, None], length - width)
    here = tf.range(length)[None, :]
    return tf.reduce_any((here >= first) & (here < first + width), axis=0)
