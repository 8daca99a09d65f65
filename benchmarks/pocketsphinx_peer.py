"""PocketSphinx's side of accuracy.py: keyword spotting over a folder of WAV files.

    PYTHON benchmarks/pocketsphinx_peer.py STREAM 'smart=S M AA R T,mirror=M IH R ER' 1e-20

PYTHON has pocketsphinx and needs nothing of wakebeam. Prints, as JSON, [name of the file, seconds]
of every detection at a threshold. The decoder begins anew after each.
"""

from __future__ import annotations

import json
import sys
import tempfile
import wave
from pathlib import Path

from pocketsphinx import Decoder  # type: ignore[import-not-found]

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


def main(stream: str, pronounced: str, threshold: str) -> None:
    """Hear all and print."""
    words = [word.split("=") for word in pronounced.split(",")]
    phrase = " ".join(word for word, _ in words)
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "words"
        dictionary.write_text("".join(f"{word} {sounds}\n" for word, sounds in words))
        found = [
            (path.stem, time_s)
            for path in sorted(Path(stream).glob("*.wav"))
            for time_s in detections(path, phrase, str(dictionary), float(threshold))
        ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:4])
