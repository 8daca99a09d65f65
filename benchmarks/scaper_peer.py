"""Scaper's side of scenes.py; runs in an interpreter that has Scaper and nothing of ours.

    python scaper_peer.py FOLDER RUNS [OUT]     prints a JSON list: seconds a scene, for each run

FOLDER/foreground/keyword, FOLDER/foreground/negative and FOLDER/background/all hold the clips. A
scene of ten seconds has 0–4 of the first and 0–2 of the second, an SNR of 0–20 dB and a background
window, like ours by SNR; Scaper places events freely, so it never has to make room. Audio and
annotation are written to the folder OUT; without it, nothing is written.
"""

import json
import random
import sys
import time
import warnings

import scaper

SCENES_A_RUN = 20


def scene(folder: str, seed: int, out: str = "") -> None:
    """Make one scene with its annotation, in memory or as files in `out`."""
    draws = random.Random(seed)
    maker = scaper.Scaper(10.0, f"{folder}/foreground", f"{folder}/background", random_state=seed)
    maker.sr, maker.ref_db = 44_100, -35
    maker.add_background(
        label=("const", "all"), source_file=("choose", []), source_time=("uniform", 0, 20)
    )
    for label, most in (("keyword", 4), ("negative", 2)):
        for _ in range(draws.randint(0, most)):
            maker.add_event(
                label=("const", label),
                source_file=("choose", []),
                source_time=("const", 0),
                event_time=("uniform", 0, 7),
                event_duration=("const", 2.4),
                snr=("uniform", 0, 20),
                pitch_shift=None,
                time_stretch=None,
            )
    names = [f"{out}/{seed}{end}" if out else None for end in (".wav", ".jams")]
    maker.generate(audio_path=names[0], jams_path=names[1])


def main(folder: str, runs: int, out: str = "") -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    scene(folder, 0, out)
    seconds = []
    for run in range(runs):
        began_s = time.perf_counter()
        for i in range(SCENES_A_RUN):
            scene(folder, 1 + run * SCENES_A_RUN + i, out)
        seconds.append((time.perf_counter() - began_s) / SCENES_A_RUN)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
