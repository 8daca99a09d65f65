"""PocketSphinx's side of accuracy.py: keyword spotting over a folder of WAV files.

    PYTHON benchmarks/pocketsphinx_peer.py STREAM 'smart=S M AA R T,mirror=M IH R ER'

PYTHON has pocketsphinx and needs nothing of wakebeam. Prints, as JSON, {threshold: [[name of the
file, seconds], …]}: every detection, by when the phrase ended, at each power of ten up to 1e30.

One pass hears all thresholds: each has its own copy of the phrase, in words that sound the same. A
file is one utterance; to begin a new one after each detection, as programs do, hardly changes the
counts (docs/accuracy.md).
"""

from __future__ import annotations

import json
import sys
import tempfile
import wave
from pathlib import Path

from pocketsphinx import Decoder  # type: ignore[import-not-found]

_PACKET = 16000 * 60
_FRAMES_PER_SECOND = 100
_THRESHOLDS = [f"1e{exponent}" for exponent in range(-50, 31)]


def detections(path: Path, words: Path, phrases: Path) -> list[tuple[str, float]]:
    """Return (threshold, seconds) of what was heard in a 16 kHz file."""
    decoder = Decoder(samprate=16000, loglevel="FATAL", dict=str(words), kws=str(phrases))
    decoder.start_utt()
    with wave.open(str(path)) as file:
        while data := file.readframes(_PACKET):
            decoder.process_raw(data)
    decoder.end_utt()
    found = decoder.seg() or ()
    return [
        (one.word.rpartition("_")[2].strip(), one.end_frame / _FRAMES_PER_SECOND) for one in found
    ]


def main(stream: str, pronounced: str) -> None:
    """Hear all and print."""
    words = [word.split("=") for word in pronounced.split(",")]
    found: dict[str, list[tuple[str, float]]] = {threshold: [] for threshold in _THRESHOLDS}
    with tempfile.TemporaryDirectory() as folder:
        dictionary, phrases = Path(folder) / "words", Path(folder) / "phrases"
        dictionary.write_text(
            "".join(f"{word}_{t} {sounds}\n" for word, sounds in words for t in _THRESHOLDS)
        )
        phrases.write_text(
            "".join(" ".join(f"{word}_{t}" for word, _ in words) + f" /{t}/\n" for t in _THRESHOLDS)
        )
        for path in sorted(Path(stream).glob("*.wav")):
            for threshold, time_s in detections(path, dictionary, phrases):
                found[threshold].append((path.stem, time_s))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:3])
