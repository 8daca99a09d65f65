"""The smoother of per-channel energy normalisation, for whole recordings and for streams.

    M[t] = a·M[t−1] + (1 − a)·E[t],  M[−1] = 0,  a = exp(−hop / time constant)

A stream walks along the recurrence. A whole recording doubles: with y₀ = (1 − a)·E and
yⱼ₊₁[t] = yⱼ[t] + a^(2ʲ)·yⱼ[t − 2ʲ], yⱼ holds the last 2ʲ terms of M, so eleven passes
of shifted sums do for any length what a loop over its frames would. What lies further back than 2ᴶ
frames, where a^(2ᴶ) < 1e-12, is left out: at most 1e-12 of the loudest frame, less than the floor
under M.
"""

from __future__ import annotations

import math

import tensorflow as tf

_LEFT_OUT = 1e-12


class Smoother:
    """(B, frames, bands) energies → their past, as long.

    Args:
        rate: frames' hop over the time constant.
    """

    def __init__(self, rate: float) -> None:
        self._keep = math.exp(-rate)
        self._take = -math.expm1(-rate)
        self._passes = max(0, math.ceil(math.log2(-math.log(_LEFT_OUT) / rate)))

    def __call__(self, energy: tf.Tensor) -> tf.Tensor:
        """Smooth a whole recording."""
        past, length = self._take * energy, tf.shape(energy)[1]
        for j in range(self._passes):
            earlier = tf.pad(past, [[0, 0], [2**j, 0], [0, 0]])[:, :length]
            past += self._keep ** (2**j) * earlier
        return past

    def stream(
        self, energy: tf.Tensor, state: tf.Tensor, num_new: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Smooth the next frames, after M = `state`; also return M after `num_new` of them."""
        past, rows = tf.convert_to_tensor(state), []
        for t in range(energy.shape[1]):
            past = self._keep * past + self._take * energy[:, t]
            rows.append(past)
        return tf.stack(rows, axis=1), rows[num_new - 1]
