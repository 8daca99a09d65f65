"""From a plan and a clip bank to audio. Obeys the plan and draws nothing.

    under = Σ_b 10^(g_b/20) · ramps(piece_b) · 10^(c/20)
    mix   = channel( under + Σ_e 10^(g_e/20) · ramps(effects_e(clip_e)) ) · 10^(h/20)

c is 0, or what brings `under` to the loudness that the plan asks for. An event's gain g_e follows
from its level and unit: `gain_db` is g_e itself; `dbfs` and `lufs` are the active level and the
loudness of the event after its effects; `snr_db` is its active level over the level of `under` in
its own span. Where the background is quieter there than 10 dB below its own active level, that
floor counts instead, so that a pause in the background doesn't make a keyword inaudible. Ramps are
short and come after the level has been taken. A room's tail rings on after the event's end; it
belongs to the sound, not to the event.

SNRs hold before the channel: what it does, it does to events and background alike.

The headroom h ≤ 0 is what keeps the highest sample below full scale: nothing clips. Gains, c and h
among them, and the SNR that was reached are reported with the audio. Levels are rounded to 0.001 dB
before they are used, so that the order of a sum can't reach the audio; all else is elementwise
float32. The result is rounded to the nearest integer, ties to even.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.activity import active_level_dbfs, rms_dbfs
from pipeline.effects import apply_effects
from pipeline.loudness import integrated_lufs
from pipeline.mixing import add_scaled, peak, round_scaled, scale
from pipeline.overlay import overlay_scene
from schemas.clips import Clip
from schemas.errors import DatasetError
from schemas.scene import BackgroundPiece, PlacedEvent, ScenePlan
from schemas.units import FULL_SCALE, db_to_gain, gain_to_db

FloatArray = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]
_PAUSE_DB = 10.0
_HIGHEST = 32767.0
_HIGHEST_SNR_DB = 100.0
_DECIMALS = 3
_FULL_SCALE_DB = gain_to_db(FULL_SCALE)


class ClipSource(Protocol):
    """What rendering needs of a clip bank."""

    def clip(self, clip_id: str) -> Clip:
        """Return what is known of a clip."""
        ...

    def samples(self, clip: Clip) -> Pcm:
        """Return (num_samples,) int16, which must not be written to."""
        ...


@dataclass(frozen=True)
class RenderedScene:
    """Audio, and what can only be known from it.

    Attributes:
        audio: (num_samples,) int16.
        gains_db: of each event of the plan, headroom included.
        snrs_db: active level of each event over the RMS of the background over its span.
        background_gains_db: of each background piece of the plan, headroom included.
        headroom_db: gain ≤ 0 on the whole scene that keeps it from clipping.
    """

    audio: Pcm
    gains_db: tuple[float, ...]
    snrs_db: tuple[float, ...]
    background_gains_db: tuple[float, ...]
    headroom_db: float


class _Sound(NamedTuple):
    """A clip after its effects, in int16 counts, and its active level; a room rings on."""

    samples: Pcm | FloatArray
    active_dbfs: float


def render_scene(plan: ScenePlan, bank: ClipSource) -> RenderedScene:
    """Render a plan.

    Raises:
        DatasetError: the bank's clips aren't those that the plan was made from.
    """
    sounds = [_sound(event, plan, bank) for event in plan.events]
    if plan.overlay is not None:
        return _overlaid(plan, sounds, bank)
    mix = _under(plan, bank)
    correction_db = _correct(mix, plan)
    floor_db = plan.background_db + correction_db - _PAUSE_DB
    levels = [
        _level(event, sound, _there(event, mix), floor_db, plan.sample_rate_hz)
        for event, sound in zip(plan.events, sounds, strict=True)
    ]
    for event, sound, (gain_db, _) in zip(plan.events, sounds, levels, strict=True):
        span = mix[event.onset_samples : event.onset_samples + len(sound.samples)]
        _add(sound.samples, gain_db, plan.fade_samples, span)
    if plan.channel:
        mix = apply_effects(mix, plan.sample_rate_hz, plan.channel, _rooms(bank))
        mix = np.ascontiguousarray(mix[: plan.num_samples])
    headroom_db = _headroom_db(peak(mix))
    audio = np.empty(plan.num_samples, dtype=np.int16)
    round_scaled(mix, np.float32(db_to_gain(headroom_db)), audio)
    return RenderedScene(
        audio,
        tuple(round(gain_db + headroom_db, _DECIMALS) for gain_db, _ in levels),
        tuple(snr_db for _, snr_db in levels),
        _background_gains_db(plan, correction_db + headroom_db),
        headroom_db,
    )


def _sound(event: PlacedEvent, plan: ScenePlan, bank: ClipSource) -> _Sound:
    clip = bank.clip(event.source)
    samples = bank.samples(clip)
    if not event.effects:
        sound = _Sound(samples, round(clip.level_dbfs, _DECIMALS))
        length = len(samples)
    else:
        x = apply_effects(
            samples.astype(np.float32), plan.sample_rate_hz, event.effects, _rooms(bank)
        )
        length = min(len(x), event.num_samples) if _rings(event) else len(x)
        level = active_level_dbfs(x[:length], plan.sample_rate_hz, silent=-math.inf)
        sound = _Sound(x, round(level - _FULL_SCALE_DB, _DECIMALS))
    if length != event.num_samples:
        raise DatasetError(
            f"clip {event.source!r} is {length} samples long after its effects",
            expected=f"the {event.num_samples} samples of the plan",
            fix="render with the clip bank that the plan was made from",
        )
    return sound


def _there(event: PlacedEvent, under: Pcm | FloatArray) -> float:
    """Level of what lies under an event, in dBFS."""
    level = rms_dbfs(under[event.onset_samples : event.offset_samples]) - _FULL_SCALE_DB
    return round(max(level, -200.0), _DECIMALS)


def _level(
    event: PlacedEvent, sound: _Sound, there: float, floor: float, sample_rate_hz: int
) -> tuple[float, float]:
    """Gain for an event, and the SNR that it gives."""
    heard = sound.active_dbfs
    if not math.isfinite(heard):
        return 0.0, -_HIGHEST_SNR_DB
    gain_db = event.level_db
    if event.level_unit == "snr_db":
        gain_db += max(there, floor) - heard
    elif event.level_unit == "dbfs":
        gain_db -= heard
    elif event.level_unit == "lufs":
        gain_db -= _lufs(sound.samples[: event.num_samples], sample_rate_hz)
    gain_db = round(gain_db, _DECIMALS)
    return gain_db, round(min(heard + gain_db - there, _HIGHEST_SNR_DB), _DECIMALS)


def _add(x: Pcm | FloatArray, gain_db: float, fade_samples: int, out: FloatArray) -> None:
    """Add a sound at its level, with a ramp at both ends; what passes the end of `out` is cut."""
    gain = np.float32(db_to_gain(gain_db))
    n, fits = min(fade_samples, len(x) // 2), len(out)
    body = min(len(x) - n, fits)
    add_scaled(x[n:body], gain, out[n:body])
    if n:
        ramp = _ramp(n) * gain
        out[:n] += x[: min(n, fits)] * ramp[: min(n, fits)]
        out[body:] += (x[len(x) - n :] * ramp[::-1])[: fits - body]


def _under(plan: ScenePlan, bank: ClipSource) -> FloatArray:
    """All backgrounds of a plan together."""
    first = plan.backgrounds[0]
    if first.num_samples == plan.num_samples:
        under, others = _piece(first, bank), plan.backgrounds[1:]
    else:
        under, others = np.zeros(plan.num_samples, dtype=np.float32), plan.backgrounds
    for piece in others:
        span = slice(piece.onset_samples, piece.onset_samples + piece.num_samples)
        under[span] += _piece(piece, bank)
    return under


def _piece(piece: BackgroundPiece, bank: ClipSource) -> FloatArray:
    """A stretch of background at its level, with its ramps."""
    x = np.empty(piece.num_samples, dtype=np.float32)
    scale(_window(piece, bank), np.float32(db_to_gain(piece.gain_db)), x)
    if piece.fade_in_samples:
        x[: piece.fade_in_samples] *= np.sqrt(_ramp(piece.fade_in_samples))
    if piece.fade_out_samples:
        x[-piece.fade_out_samples :] *= np.sqrt(_ramp(piece.fade_out_samples)[::-1])
    return x


def _window(piece: BackgroundPiece, bank: ClipSource) -> Pcm:
    samples = bank.samples(bank.clip(piece.source))
    stop = piece.offset_samples + piece.num_samples
    if stop > len(samples):
        raise DatasetError(
            f"clip {piece.source!r} has {len(samples)} samples",
            expected=f"at least {stop}, as the plan says",
            fix="render with the clip bank that the plan was made from",
        )
    return samples[piece.offset_samples : stop]


def _correct(under: FloatArray, plan: ScenePlan) -> float:
    """Bring the backgrounds to the loudness asked for, in place; return the gain for that."""
    if plan.background_unit != "lufs":
        return 0.0
    loudness = _lufs(under, plan.sample_rate_hz)
    if not math.isfinite(loudness):
        return 0.0
    gain_db = round(plan.background_db - loudness, _DECIMALS)
    under *= np.float32(db_to_gain(gain_db))
    return gain_db


def _lufs(x: Pcm | FloatArray, sample_rate_hz: int) -> float:
    """Loudness of int16 counts, rounded.

    It is measured at an RMS of full scale and reckoned back: as it stands, a quiet sound could lie
    under the meter's absolute gate, and would have no loudness.
    """
    level = rms_dbfs(x)
    if not math.isfinite(level):
        return level
    raised = np.multiply(x, np.float32(db_to_gain(-level)), dtype=np.float32)
    loudness = integrated_lufs(raised, sample_rate_hz)
    return round(loudness + level - _FULL_SCALE_DB, _DECIMALS)


def _background_gains_db(plan: ScenePlan, more_db: float) -> tuple[float, ...]:
    return tuple(round(piece.gain_db + more_db, _DECIMALS) for piece in plan.backgrounds)


def _rings(event: PlacedEvent) -> bool:
    return any(effect.name == "room" for effect in event.effects)


def _rooms(bank: ClipSource) -> Callable[[str], FloatArray]:
    def response(clip_id: str) -> FloatArray:
        samples = bank.samples(bank.clip(clip_id)).astype(np.float32)
        return np.asarray(samples / samples[0])

    return response


def _ramp(n: int) -> FloatArray:
    return (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)


def _headroom_db(peak: float) -> float:
    """Largest gain ≤ 0 dB, in steps of 0.001 dB, that keeps `peak` within int16."""
    if peak <= _HIGHEST:
        return 0.0
    return math.floor(1000.0 * gain_to_db(_HIGHEST / peak)) / 1000.0


def _overlaid(plan: ScenePlan, sounds: list[_Sound], bank: ClipSource) -> RenderedScene:
    assert plan.overlay is not None  # noqa: S101 - asked for by the plan
    under = _as_recorded(plan, bank)
    down_db, rate = plan.overlay.background_gain_db, plan.sample_rate_hz
    pairs = list(zip(plan.events, sounds, strict=True))
    audio, gain_db = overlay_scene(
        under,
        [(event.onset_samples, _to_pcm(sound.samples)) for event, sound in pairs],
        background_gain_db=down_db,
        final_dbfs=plan.overlay.final_dbfs,
    )
    snrs = [_level(e, sound, _there(e, under) + down_db, -math.inf, rate)[1] for e, sound in pairs]
    gain_db = round(gain_db, _DECIMALS)
    return RenderedScene(
        audio,
        (gain_db,) * len(sounds),
        tuple(snrs),
        _background_gains_db(plan, down_db + gain_db),
        gain_db,
    )


def _as_recorded(plan: ScenePlan, bank: ClipSource) -> Pcm:
    """All backgrounds of a plan together; a single window is read where it lies."""
    piece = plan.backgrounds[0]
    if len(plan.backgrounds) == 1 and piece.gain_db == 0.0:
        return _window(piece, bank)
    return _to_pcm(_under(plan, bank))


def _to_pcm(x: Pcm | FloatArray) -> Pcm:
    if x.dtype == np.int16:
        return np.asarray(x, dtype=np.int16)
    kept = np.asarray(x, dtype=np.float32)
    if peak(kept) > _HIGHEST:
        kept = np.clip(kept, -32768.0, _HIGHEST)
    pcm = np.empty(len(kept), dtype=np.int16)
    round_scaled(kept, np.float32(1.0), pcm)
    return pcm
