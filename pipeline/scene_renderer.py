"""From a plan and a clip bank to audio. Obeys the plan and draws nothing.

    under = Σ_b 10^(g_b/20) · ramps(piece_b)
    mix   = channel( under + Σ_e 10^(g_e/20) · ramps(effects_e(clip_e)) ) · 10^(h/20)

An event's gain g_e follows from its SNR s: active level of the finished event = level of `under`
over the event's span + s. Where the background is quieter there than 10 dB below its own active
level, that floor counts instead, so that a pause in the background doesn't make a keyword
inaudible. A room's tail rings on after the event's end; it belongs to the sound, not to the event.

SNRs hold before the channel: what it does, it does to events and background alike.

The headroom h ≤ 0 is what keeps the highest sample below full scale: nothing clips. Gains, h and
the SNR that was reached are reported with the audio. Levels are rounded to 0.001 dB before they
are used, so that the order of a sum can't reach the audio; all else is elementwise float32.
The result is rounded to the nearest integer, ties to even.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.activity import active_level_dbfs, rms_dbfs
from pipeline.effects import apply_effects
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
        headroom_db: gain ≤ 0 on the whole scene that keeps it from clipping.
    """

    audio: Pcm
    gains_db: tuple[float, ...]
    snrs_db: tuple[float, ...]
    headroom_db: float


def render_scene(plan: ScenePlan, bank: ClipSource) -> RenderedScene:
    """Render a plan.

    Raises:
        DatasetError: the bank's clips aren't those that the plan was made from.
    """
    events = [_effected(event, plan, bank) for event in plan.events]
    if plan.overlay is not None:
        return _overlaid(plan, events, bank)
    under = _under(plan, bank)
    mix = under.copy()
    gains, snrs = [], []
    for event, x in zip(plan.events, events, strict=True):
        gain_db, snr_db = _level(event, x, under, plan)
        x = x * np.float32(db_to_gain(gain_db))
        stop = min(plan.num_samples, event.onset_samples + len(x))
        mix[event.onset_samples : stop] += x[: stop - event.onset_samples]
        gains.append(gain_db)
        snrs.append(snr_db)
    if plan.channel:
        mix = apply_effects(mix, plan.sample_rate_hz, plan.channel, _rooms(bank))
        mix = np.asarray(mix[: plan.num_samples])
    headroom_db = _headroom_db(max(float(mix.max()), -float(mix.min())))
    if headroom_db < 0.0:
        mix = mix * np.float32(db_to_gain(headroom_db))
    audio = np.rint(mix, out=mix).astype(np.int16)
    return RenderedScene(
        audio,
        tuple(round(gain + headroom_db, _DECIMALS) for gain in gains),
        tuple(snrs),
        headroom_db,
    )


def _level(
    event: PlacedEvent, x: FloatArray, under: FloatArray, plan: ScenePlan
) -> tuple[float, float]:
    """Gain for an event, and the SNR that it gives."""
    rate = plan.sample_rate_hz
    full = np.float32(1.0 / FULL_SCALE)
    heard = active_level_dbfs(x[: event.num_samples] * full, rate, silent=-math.inf)
    if not math.isfinite(heard):
        return 0.0, -_HIGHEST_SNR_DB
    heard = round(heard, _DECIMALS)
    there = rms_dbfs(under[event.onset_samples : event.offset_samples] * full)
    there = round(max(there, -200.0), _DECIMALS)
    gain_db = event.gain_db
    if event.snr_db is not None:
        floor = max(there, plan.background_dbfs - _PAUSE_DB)
        gain_db = round(floor + event.snr_db - heard, _DECIMALS)
    snr_db = heard + gain_db - there
    return gain_db, round(min(snr_db, _HIGHEST_SNR_DB), _DECIMALS)


def _under(plan: ScenePlan, bank: ClipSource) -> FloatArray:
    """All backgrounds of a plan together."""
    under = np.zeros(plan.num_samples, dtype=np.float32)
    for piece in plan.backgrounds:
        _lay(under, piece, bank)
    return under


def _lay(under: FloatArray, piece: BackgroundPiece, bank: ClipSource) -> None:
    samples = bank.samples(bank.clip(piece.source))
    stop = piece.offset_samples + piece.num_samples
    if stop > len(samples):
        raise DatasetError(
            f"clip {piece.source!r} has {len(samples)} samples",
            expected=f"at least {stop}, as the plan says",
            fix="render with the clip bank that the plan was made from",
        )
    x = samples[piece.offset_samples : stop].astype(np.float32)
    x *= np.float32(db_to_gain(piece.gain_db))
    if piece.fade_in_samples:
        x[: piece.fade_in_samples] *= np.sqrt(_ramp(piece.fade_in_samples))
    if piece.fade_out_samples:
        x[-piece.fade_out_samples :] *= np.sqrt(_ramp(piece.fade_out_samples)[::-1])
    under[piece.onset_samples : piece.onset_samples + piece.num_samples] += x


def _effected(event: PlacedEvent, plan: ScenePlan, bank: ClipSource) -> FloatArray:
    """A clip after its effects and ramps; longer than the event where a room rings on."""
    x: FloatArray = bank.samples(bank.clip(event.source)).astype(np.float32)
    x = apply_effects(x, plan.sample_rate_hz, event.effects, _rooms(bank))
    tail = max(0, len(x) - event.num_samples) if _rings(event) else 0
    if len(x) - tail != event.num_samples:
        raise DatasetError(
            f"clip {event.source!r} is {len(x)} samples long after its effects",
            expected=f"the {event.num_samples} samples of the plan",
            fix="render with the clip bank that the plan was made from",
        )
    n = min(plan.fade_samples, len(x) // 2)
    if n:
        x = x.copy()
        x[:n] *= _ramp(n)
        x[-n:] *= _ramp(n)[::-1]
    return x


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


def _overlaid(plan: ScenePlan, events: list[FloatArray], bank: ClipSource) -> RenderedScene:
    assert plan.overlay is not None  # noqa: S101 - asked for by the plan
    under = _under(plan, bank)
    background = np.rint(under).astype(np.int16)
    audio, gain_db = overlay_scene(
        background,
        [(event.onset_samples, _to_pcm(x)) for event, x in zip(plan.events, events, strict=True)],
        background_gain_db=plan.overlay.background_gain_db,
        final_dbfs=plan.overlay.final_dbfs,
    )
    turned_down = under * np.float32(db_to_gain(plan.overlay.background_gain_db))
    snrs = [_level(e, x, turned_down, plan)[1] for e, x in zip(plan.events, events, strict=True)]
    gain_db = round(gain_db, _DECIMALS)
    return RenderedScene(audio, (gain_db,) * len(events), tuple(snrs), gain_db)


def _to_pcm(x: FloatArray) -> Pcm:
    return np.asarray(np.clip(np.rint(x), -32768, 32767), dtype=np.int16)
