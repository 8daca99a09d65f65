"""Speaks what a recipe's `speech` asks for; takes that exist are kept."""

from __future__ import annotations

from pathlib import Path

from pipeline.espeak_voices import EspeakVoices
from pipeline.speech import Engine, speak_near_misses, speak_takes
from pipeline.speech_command import SpeechCommand
from schemas.recipe import Recipe
from schemas.recipe_speech import Speech
from wakebeam.console import progress


def speak_recipe(recipe: Recipe, folder: Path) -> tuple[int, int]:
    """Speak all entries; relative paths start at `folder`.

    Returns:
        How many takes were spoken, and how many were there already.
    """
    made = kept = 0
    for entry in recipe.speech:
        counts = speak_entry(entry, folder / entry.out, recipe.seed, folder)
        made, kept = made + counts[0], kept + counts[1]
    return made, kept


def speak_entry(entry: Speech, out: Path, seed: int, folder: Path) -> tuple[int, int]:
    """Speak one entry into `out`, whatever its own `out` says; returns as `speak_recipe`."""
    made = kept = 0
    with progress("speak", "takes") as update:
        if not entry.near_misses:
            return speak_takes(
                entry.phrases,
                out,
                num_takes=entry.takes,
                seed=seed,
                engine=_engine(entry, folder),
                progress=update,
            )
        for phrase in entry.phrases:
            counts = speak_near_misses(
                phrase,
                out,
                count=entry.near_misses,
                num_takes=entry.takes,
                seed=seed,
                progress=update,
            )
            made, kept = made + counts[0], kept + counts[1]
    return made, kept


def _engine(entry: Speech, folder: Path) -> Engine:
    if entry.command is None:
        return EspeakVoices(entry.languages)
    return SpeechCommand(entry.command, entry.voices, folder)
