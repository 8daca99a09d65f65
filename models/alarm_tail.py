"""How often a threshold would alarm in the long run, also where a short validation heard no alarm.

An hour without an alarm allows three an hour. The lowest threshold without one is the luckiest, not
the safest: chosen by that count, a detector may alarm several times as often as asked. But alarms
thin out evenly: above a threshold u that some of them reach, the peaks of their scores exceed it by
amounts that are close to exponential in log odds, so that

    rate(t) = N(u) / hours · exp(−(t − u) / β)        for t ≥ u

with β the mean excess over u. u is the highest threshold with 20 alarms, below it rates are as
counted. Excess beyond the last threshold is censored there. With fewer than 5 alarms at every
threshold there is no tail to fit and all rates are as counted. What was counted is never explained
away: a few sounds that are always mistaken for the keyword are no part of the tail, so the rate is
the larger of the two.

Source: peaks over threshold with an exponential tail, Coles, An Introduction to Statistical
Modeling of Extreme Values (2001), chapter 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ALARMS = 20
_FEWEST_ALARMS = 5


def long_run_rates(
    log_odds: npt.NDArray[np.float64], num_alarms: npt.NDArray[np.int64], hours: float
) -> npt.NDArray[np.float64]:
    """Return expected alarms per hour at each threshold.

    Args:
        log_odds: (n,) thresholds, rising.
        num_alarms: (n,) counted at each.
        hours: that were judged.
    """
    rates = np.asarray(num_alarms / hours if hours else np.zeros(len(num_alarms)), float)
    begin = int(np.argmax(num_alarms))
    count = num_alarms.copy()  # debounce joins some of them at low thresholds
    count[:begin] = count[begin]
    count = np.minimum.accumulate(count)
    most = int(count[0])
    if most < _FEWEST_ALARMS or not hours:
        return rates
    first = int(np.flatnonzero(count >= min(_ALARMS, most))[-1])
    tail = count[first:].astype(float)
    excess = float(np.trapz(tail, log_odds[first:]))
    ended = max(1.0, tail[0] - tail[-1])
    mean_excess = max(excess / ended, 1e-6)
    fitted = tail[0] / hours * np.exp(-(log_odds[first:] - log_odds[first]) / mean_excess)
    rates[first:] = np.maximum(fitted, rates[first:])
    return rates
