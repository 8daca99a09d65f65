"""PocketSphinx's side of accuracy.py: keyword spotting over a folder of WAV files.

    PYTHON benchmarks/pocketsphinx_peer.py STREAM 'smart=S M AA R T,mirror=M IH R ER'

PYTHON has pocketsphinx and needs nothing of wakebeam. Prints a JSON object: for each of its
thresholds, [name of the file, seconds] of every detection. The decoder begins anew after each.
"""

from __future__ import annotations

import json
import sys
import tempfile
import wave
from pathlib import Path

from pocketsphinx import Decoder  # type: ignore[import-not-found]

THRESHOLDS = (1e-45, 1e-40, 1e-35, 1e-30, 1e-25, 1e-20, 1e-15, 1e-10, 1e-5, 1e-2)
_PACKET = 1600


def detections(path: Path, phrase: str, words: str, threshold: float) -> list[float]:
    """Return when the phrase was heard in a 16 kHz file, seconds."""
    how = {"dict": words, "keyphrase": phrase, "kws_threshold": threshold}
    decoder = Decoder(samprate=16000, loglevel="FATAL", **how)
    found, heard = [], 0
    decoder.start_utt()
    with wave.open(str(path)) as file:
        while data := file.readframes(_PACKET):
            decoder.process_raw(data)
            heard += len(data) // 2
            if decoder.hyp() is not None:
                found.append(heard / 16000)
                decoder.end_utt()
                decoder.start_utt()
    decoder.end_utt()
    return found


def main(stream: str, pronounced: str) -> None:
    """Measure and print."""
    words = [word.split("=") for word in pronounced.split(",")]
    phrase = " ".join(word for word, _ in words)
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "words"
        dictionary.write_text("".join(f"{word} {sounds}\n" for word, sounds in words))
        found = {
            str(threshold): [
                (path.stem, time_s)
                for path in sorted(Path(stream).glob("*.wav"))
                for time_s in detections(path, phrase, str(dictionary), threshold)
            ]
            for threshold in THRESHOLDS
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:3])
