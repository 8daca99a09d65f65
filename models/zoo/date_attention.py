"""`date_attention`: reads a date with an LSTM both ways, writes ten characters with attention.

X (B, Tx, vocabulary), s0 and c0 (B, units) → list of ten (B, 11). All ten steps share their layers:

    s repeated Tx times, beside the encoder's a → dense, tanh → dense → softmax over time
    → weighted sum of a → one step of an LSTM from (s, c) → dense, softmax

The classic exercise's network (`masked: false`, `energy: relu`, Tx 30, 37 characters) has 52,960
parameters: 17,920 + 1,290 + 11 + 33,024 + 715. A ReLU can silence all energies for good, attention
is uniform then: ours are linear. Where it is masked, padding is read by no LSTM and weighs nothing.
Softmax goes over time: over the last axis, of size 1, every weight would be 1.
"""

from __future__ import annotations

import tf_keras as keras

from schemas.recipe_dates import DateAttention

DATE_LENGTH, NUM_OUTPUTS = 10, 11
_WEIGHTS = "attention"
_TIME = 1


def build_date_network(config: DateAttention, *, vocabulary_size: int) -> keras.Model:
    """Return a new network.

    Args:
        config: its sizes.
        vocabulary_size: of the texts; the last index is `<pad>`.
    """
    layers, length = keras.layers, config.longest_text
    x = keras.Input([length, vocabulary_size], name="x")
    s0 = keras.Input([config.decoder_units], name="s0")
    c0 = keras.Input([config.decoder_units], name="c0")

    present = x[:, :, -1:] < 0.5  # (B, Tx, 1)
    encoder = layers.Bidirectional(
        layers.LSTM(config.encoder_units, return_sequences=True), name="encoder"
    )
    a = encoder(x, mask=present[:, :, 0] if config.masked else None)

    repeat, beside = layers.RepeatVector(length), layers.Concatenate()
    hidden = layers.Dense(config.energy_units, activation="tanh", name="energy_hidden")
    energy = layers.Dense(1, activation=config.energy, name="energy")
    weigh = layers.Softmax(axis=_TIME, name=_WEIGHTS)
    gather = layers.Dot(axes=_TIME)
    decoder = layers.LSTM(config.decoder_units, return_state=True, unroll=True, name="decoder")
    write = layers.Dense(NUM_OUTPUTS, activation="softmax", name="character")

    s, c, outputs = s0, c0, []
    for _ in range(DATE_LENGTH):
        energies = energy(hidden(beside([a, repeat(s)])))
        weights = weigh(energies, mask=present) if config.masked else weigh(energies)
        s, _, c = decoder(gather([weights, a]), initial_state=[s, c])
        outputs.append(write(s))
    return keras.Model([x, s0, c0], outputs, name=config.family)


def attention_of(network: keras.Model) -> keras.Model:
    """Return the network that gives, for each character, the weight of each position.

    Same inputs → list of ten (B, Tx, 1), each summing to 1 over Tx.
    """
    layer = network.get_layer(_WEIGHTS)
    return keras.Model(network.inputs, [layer.get_output_at(i) for i in range(DATE_LENGTH)])
