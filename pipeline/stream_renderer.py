"""From the plan of a stream's file to sound, a stretch at a time, so in constant memory.

    out = drift · Σ_b g_b · fades(piece_b)  +  Σ_e g_e · ramps(clip_e)

A piece of background is brought to the wanted level, and an event to its SNR against the background
under it, as in scene_renderer.py: where that is in a pause, 10 dB below what it ever should be,
the floor counts. Gains are limited so that an event peaks at half of full scale at most and a
background at a third: whatever meets, nothing clips, and no level has to be changed for all. How
many events that touched is counted, and every event's SNR is reported as it was reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.activity import rms_dbfs
from pipeline.mixing import add_scaled, round_scaled
from pipeline.scene_renderer import ClipSource
from pipeline.stream_plan import (
    DRIFT_DB,
    DRIFT_STEP_S,
    BackgroundPart,
    PlannedSound,
    StreamFilePlan,
    Stretch,
)
from schemas.stream_set import StreamEvent
from schemas.units import FULL_SCALE, db_to_gain, gain_to_db, seconds_to_samples

FloatArray = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]
_HIGHEST_EVENT, _HIGHEST_BACKGROUND = 0.5 * FULL_SCALE, 0.33 * FULL_SCALE
_RAMP_S, _INTO_SILENCE_S = 0.005, 0.5
_FLOOR_DB = 10.0 + DRIFT_DB
_HIGHEST_SNR_DB = 100.0
_FULL_SCALE_DB = gain_to_db(FULL_SCALE)
_DECIMALS = 3


@dataclass(frozen=True)
class RenderedStretch:
    """Sound of a stretch, (num_samples,) int16, its events, and how many are quieter than asked."""

    audio: Pcm
    events: tuple[StreamEvent, ...]
    num_limited: int


def render_file(
    plan: StreamFilePlan, bank: ClipSource, *, background_dbfs: float, sample_rate_hz: int
) -> Iterator[RenderedStretch]:
    """Yield a file's stretches in order; together they are `plan.num_samples` long."""
    pending = list(plan.backgrounds)
    for stretch in plan.stretches:
        while pending and _stop(pending[0]) <= stretch.start:
            del pending[0]
        under = np.zeros(stretch.stop - stretch.start, np.float32)
        if stretch.kind != "silence":
            for piece in pending:
                if piece.onset_samples >= stretch.stop:
                    break
                _add_background(piece, stretch, bank, background_dbfs, under)
            under *= _drift(plan, stretch, sample_rate_hz)
            _fade_edges(plan, stretch, sample_rate_hz, under)
        yield _with_events(stretch, bank, background_dbfs, sample_rate_hz, under)


def _with_events(
    stretch: Stretch, bank: ClipSource, background_dbfs: float, rate: int, mix: FloatArray
) -> RenderedStretch:
    events, limited = [], 0
    for sound in stretch.sounds:
        span = mix[sound.onset_samples - stretch.start : sound.offset_samples - stretch.start]
        there = max(rms_dbfs(span) - _FULL_SCALE_DB, -200.0)
        heard = sound.part.clip.level_dbfs
        wanted = sound.snr_db + max(there, background_dbfs - _FLOOR_DB) - heard
        gain_db = round(min(wanted, gain_to_db(_HIGHEST_EVENT / sound.part.clip.peak)), _DECIMALS)
        limited += gain_db < wanted - 0.01
        _add_event(sound, bank, gain_db, rate, span)
        snr_db = round(min(heard + gain_db - there, _HIGHEST_SNR_DB), _DECIMALS)
        clip_id = sound.part.clip.clip_id
        events.append(
            StreamEvent(sound.onset_samples, sound.part.num_samples, clip_id, gain_db, snr_db)
        )
    audio = np.empty(len(mix), np.int16)
    round_scaled(mix, np.float32(1.0), audio)
    return RenderedStretch(audio, tuple(events), limited)


def _add_event(
    sound: PlannedSound, bank: ClipSource, gain_db: float, rate: int, out: FloatArray
) -> None:
    part = sound.part
    samples = bank.samples(part.clip)[part.offset_samples : part.offset_samples + part.num_samples]
    n = min(seconds_to_samples(_RAMP_S, rate), len(samples) // 2)
    x = samples.astype(np.float32)
    if n:
        x[:n] *= _ramp(n)
        x[-n:] *= _ramp(n)[::-1]
    add_scaled(x, np.float32(db_to_gain(gain_db)), out)


def _add_background(
    piece: BackgroundPart, stretch: Stretch, bank: ClipSource, level_dbfs: float, out: FloatArray
) -> None:
    """Add what of a piece lies in a stretch: its fade in, its body, its fade out."""
    clip = piece.part.clip
    highest = gain_to_db(_HIGHEST_BACKGROUND / clip.peak) - DRIFT_DB
    gain = np.float32(db_to_gain(round(min(level_dbfs - clip.level_dbfs, highest), _DECIMALS)))
    samples = bank.samples(clip)[piece.part.offset_samples :]
    body, end = piece.fade_in_samples, piece.part.num_samples
    for first, stop, ramp in (
        (0, body, np.sqrt(_ramp(body))),
        (body, end - piece.fade_out_samples, None),
        (end - piece.fade_out_samples, end, np.sqrt(_ramp(piece.fade_out_samples)[::-1])),
    ):
        a = max(first, stretch.start - piece.onset_samples)
        b = min(stop, stretch.stop - piece.onset_samples)
        if a >= b:
            continue
        at = piece.onset_samples - stretch.start
        x = samples[a:b]
        faded = x if ramp is None else x.astype(np.float32) * ramp[a - first : b - first]
        add_scaled(faded, gain, out[at + a : at + b])


def _drift(plan: StreamFilePlan, stretch: Stretch, rate: int) -> FloatArray:
    """The background's slowly changing factor over a stretch: linear between the plan's knots."""
    gains = [db_to_gain(value) for value in plan.drift_db]
    step = DRIFT_STEP_S * rate
    places = np.arange(stretch.start, stretch.stop, dtype=np.float64)
    return np.interp(places, step * np.arange(len(gains)), gains).astype(np.float32)


def _fade_edges(plan: StreamFilePlan, stretch: Stretch, rate: int, out: FloatArray) -> None:
    """Fade into the silence after a stretch, and out of the one before it."""
    silent = {s.start: s for s in plan.stretches if s.kind == "silence"}
    ends = {s.stop for s in silent.values()}
    n = min(seconds_to_samples(_INTO_SILENCE_S, rate), len(out) // 2)
    if n and stretch.start in ends:
        out[:n] *= _ramp(n)
    if n and stretch.stop in silent:
        out[-n:] *= _ramp(n)[::-1]


def _stop(piece: BackgroundPart) -> int:
    return piece.onset_samples + piece.part.num_samples


def _ramp(n: int) -> FloatArray:
    return (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(max(n, 1))
