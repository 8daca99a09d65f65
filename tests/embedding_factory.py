"""Generated clips of embeddings: bytes as AudioSet has them, a sound in some of their frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SOUND = 97
"""AudioSet's number of the sound, in `write_sequences`."""


def records(num_clips: int, *, seed: int = 0, clips_a_video: int = 2) -> list[dict[str, Any]]:
    """Return JSON records: five to ten frames of 0–255; a third of the videos have the sound."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(num_clips):
        video, place = divmod(i, clips_a_video)
        label = int(video % 3 == 0)
        frames = rng.integers(60, 190, (int(rng.integers(5, 11)), 128))
        if label:
            frames[rng.integers(0, len(frames)), :40] += 60
        made.append(
            {
                "vid_id": f"video{video:05d}",
                "start_time_seconds_youtube_clip": 10 * place,
                "end_time_seconds_youtube_clip": 10 * place + 10,
                "is_turkey": label,
                "audio_embedding": frames.tolist(),
            }
        )
    return made


def write_json(path: Path, made: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made))
    return path


def sequence(record: dict[str, Any]) -> bytes:
    """The same clip as TensorFlow itself writes it, in AudioSet's form."""
    import tensorflow as tf

    example = tf.train.SequenceExample()
    context = example.context.feature
    context["video_id"].bytes_list.value.append(record["vid_id"].encode())
    context["start_time_seconds"].float_list.value.append(record["start_time_seconds_youtube_clip"])
    context["end_time_seconds"].float_list.value.append(record["end_time_seconds_youtube_clip"])
    if "is_turkey" in record:
        labels = [0, SOUND] if record["is_turkey"] else [0, 137]
        context["labels"].int64_list.value.extend(labels)
    frames = example.feature_lists.feature_list["audio_embedding"]
    for frame in record["audio_embedding"]:
        frames.feature.add().bytes_list.value.append(bytes(frame))
    return example.SerializeToString()


def write_sequences(path: Path, made: list[dict[str, Any]]) -> Path:
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in made:
            writer.write(sequence(record))
    return path
