"""Examples to records and back, without TensorFlow.

Serialisation is deterministic: map entries sorted by name, floats as float32, no field left to
chance. `pcm16` is little-endian; `flac` is lossless, level 5, by libsndfile.

The audio is nearly all of a record, and protobuf would copy it three times. Its name sorts first,
so it is put before all else that protobuf has serialised; a shard's writer takes the pieces as they
are, and nothing is copied at all.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from pipeline import tf_example_pb2
from pipeline.scene_renderer import RenderedScene
from pipeline.tfrecord import Piece
from schemas import example as names
from schemas.errors import DatasetError
from schemas.example import LabelledEvent, StoredExample
from schemas.scene import ScenePlan

Pcm = npt.NDArray[np.int16]
_FLAC_COMPRESSION = 5 / 8
_SEVEN_BITS = 0x7F
_FIRST, _SECOND = b"\x0a", b"\x12"  # tags of fields 1 and 2 that have a length
_AUDIO_KEY = _FIRST + bytes([len(names.AUDIO_ENCODED)]) + names.AUDIO_ENCODED.encode()


def encode_example(
    plan: ScenePlan, scene: RenderedScene, *, encoding: str, recipe_digest: str
) -> tuple[Piece, ...]:
    """Serialise one rendered scene as a tf.train.Example, in pieces to be joined.

    Args:
        plan: what `scene` was rendered from.
        scene: the audio, with the levels that were reached.
        encoding: `pcm16` or `flac`.
        recipe_digest: content digest, hexadecimal.
    """
    events, backgrounds = plan.events, plan.backgrounds
    bytes_features: dict[str, Sequence[bytes]] = {
        names.EXAMPLE_ID: [plan.example_id.encode()],
        names.AUDIO_ENCODING: [encoding.encode()],
        names.EVENTS_LABEL: [event.label.encode() for event in events],
        names.EVENTS_KIND: [event.kind.encode() for event in events],
        names.EVENTS_SOURCE: [event.source.encode() for event in events],
        names.BACKGROUND_SOURCE: [piece.source.encode() for piece in backgrounds],
        names.PLAN: [plan.to_json()],
        names.RECIPE_DIGEST: [recipe_digest.encode()],
    }
    int64_features: dict[str, Sequence[int]] = {
        names.AUDIO_SAMPLE_RATE_HZ: [plan.sample_rate_hz],
        names.AUDIO_NUM_SAMPLES: [plan.num_samples],
        names.EVENTS_ONSET_SAMPLES: [event.onset_samples for event in events],
        names.EVENTS_OFFSET_SAMPLES: [event.offset_samples for event in events],
        names.BACKGROUND_OFFSET_SAMPLES: [piece.offset_samples for piece in backgrounds],
    }
    float_features: dict[str, Sequence[float]] = {
        names.EVENTS_GAIN_DB: scene.gains_db,
        names.EVENTS_SNR_DB: scene.snrs_db,
        names.BACKGROUND_GAIN_DB: scene.background_gains_db,
    }
    rest = tf_example_pb2.Features()
    feature = rest.feature
    for name, texts in bytes_features.items():
        feature[name].bytes_list.value.extend(texts)
    for name, integers in int64_features.items():
        feature[name].int64_list.value.extend(integers)
    for name, floats in float_features.items():
        feature[name].float_list.value.extend(floats)
    audio = encode_audio(scene.audio, plan.sample_rate_hz, encoding)
    return _example(audio, rest.SerializeToString(deterministic=True))


def reencode_example(data: bytes, encoding: str) -> tuple[Piece, ...]:
    """Return the same record with its audio encoded as `encode_example` would.

    Raises:
        DatasetError: as `decode_example`.
    """
    example = decode_example(data)
    message = tf_example_pb2.Example()
    message.ParseFromString(data)
    rest = message.features
    del rest.feature[names.AUDIO_ENCODED]
    rest.feature[names.AUDIO_ENCODING].bytes_list.value[:] = [encoding.encode()]
    audio = encode_audio(example.audio, example.sample_rate_hz, encoding)
    return _example(audio, rest.SerializeToString(deterministic=True))


def decode_example(data: bytes) -> StoredExample:
    """Parse and check one record.

    Raises:
        DatasetError: not an Example, a feature is missing or of another type, or the values
            contradict each other.
    """
    message = tf_example_pb2.Example()
    try:
        message.ParseFromString(data)
        get = _Getter(message.features.feature)
        rate, length = get.one(names.AUDIO_SAMPLE_RATE_HZ), get.one(names.AUDIO_NUM_SAMPLES)
        encoding = get.one(names.AUDIO_ENCODING).decode()
        audio = decode_audio(get.one(names.AUDIO_ENCODED), encoding)
        columns = (
            get.all(names.EVENTS_ONSET_SAMPLES),
            get.all(names.EVENTS_OFFSET_SAMPLES),
            get.texts(names.EVENTS_LABEL),
            get.texts(names.EVENTS_KIND),
            get.texts(names.EVENTS_SOURCE),
            get.all(names.EVENTS_GAIN_DB),
            get.all(names.EVENTS_SNR_DB),
        )
        example = StoredExample(
            example_id=get.one(names.EXAMPLE_ID).decode(),
            audio=audio,
            sample_rate_hz=rate,
            events=tuple(LabelledEvent(*row) for row in zip(*columns, strict=True)),
            background_sources=tuple(get.texts(names.BACKGROUND_SOURCE)),
            background_offsets_samples=tuple(get.all(names.BACKGROUND_OFFSET_SAMPLES)),
            background_gains_db=tuple(get.all(names.BACKGROUND_GAIN_DB)),
            plan=get.one(names.PLAN),
            recipe_digest=get.one(names.RECIPE_DIGEST).decode(),
        )
        _require_consistent(example, length)
    except DatasetError:
        raise
    except Exception as error:  # protobuf, json and numpy each have their own
        raise DatasetError(f"a record is not an example of ours: {error}") from error
    return example


def encode_audio(audio: Pcm, sample_rate_hz: int, encoding: str) -> Piece:
    """Encode (num_samples,) int16 as `pcm16`, which copies nothing, or `flac`."""
    if encoding == "pcm16":
        return np.ascontiguousarray(audio, dtype="<i2").view(np.uint8)
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        audio,
        sample_rate_hz,
        format="FLAC",
        subtype="PCM_16",
        compression_level=_FLAC_COMPRESSION,
    )
    return buffer.getvalue()


def decode_audio(data: bytes, encoding: str) -> Pcm:
    """Return (num_samples,) int16.

    Raises:
        ValueError: the encoding is unknown.
    """
    if encoding == "pcm16":
        return np.frombuffer(data, dtype="<i2")
    if encoding == "flac":
        samples, _ = soundfile.read(io.BytesIO(data), dtype="int16")
        return np.asarray(samples, dtype=np.int16)
    raise ValueError(f"audio/encoding {encoding!r} is neither pcm16 nor flac")


def _example(audio: Piece, rest: bytes) -> tuple[Piece, ...]:
    """Serialise an Example whose first feature is the audio and whose others are serialised."""
    head = b""
    for tag in (_FIRST, _FIRST, _SECOND):  # a value, in a BytesList, in a Feature
        head = tag + _varint(len(head) + len(audio)) + head
    head = _AUDIO_KEY + head
    head = _FIRST + _varint(len(head) + len(audio)) + head  # with its name, an entry of Features
    size = len(head) + len(audio) + len(rest)
    return _FIRST + _varint(size) + head, audio, rest


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while number > _SEVEN_BITS:
        out.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class _Getter:
    """Reads features by name, by the type that the schema gives them."""

    def __init__(self, feature: Any) -> None:
        self._feature = feature

    def all(self, name: str) -> list[Any]:
        if name not in self._feature:
            raise ValueError(f"feature {name!r} is missing")
        kind = (
            "bytes_list"
            if name in names.BYTES_FEATURES
            else "int64_list"
            if name in names.INT64_FEATURES
            else "float_list"
        )
        found = self._feature[name].WhichOneof("kind")
        if found not in (kind, None):
            raise ValueError(f"feature {name!r} is a {found}, not a {kind}")
        return list(getattr(self._feature[name], kind).value)

    def one(self, name: str) -> Any:
        values = self.all(name)
        if len(values) != 1:
            raise ValueError(f"feature {name!r} has {len(values)} values instead of one")
        return values[0]

    def texts(self, name: str) -> list[str]:
        return [value.decode() for value in self.all(name)]


def _require_consistent(example: StoredExample, length: int) -> None:
    if len(example.audio) != length:
        raise DatasetError(
            f"{example.example_id} holds {len(example.audio)} samples",
            expected=f"{length}, as {names.AUDIO_NUM_SAMPLES} says",
        )
    edge = 0
    for event in example.events:
        if not 0 <= event.onset_samples < event.offset_samples <= length:
            raise DatasetError(
                f"{example.example_id} has an event at "
                f"[{event.onset_samples}, {event.offset_samples})",
                expected=f"a range inside its {length} samples",
            )
        if event.onset_samples < edge:
            raise DatasetError(f"the events of {example.example_id} aren't sorted by onset")
        edge = event.onset_samples
    plan = ScenePlan.from_json(json.loads(example.plan))
    if plan.example_id != example.example_id:
        raise DatasetError(f"{example.example_id} carries the plan of {plan.example_id}")
