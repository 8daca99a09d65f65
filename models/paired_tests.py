"""Two detectors on one test: exact sign test by groups, and bootstrap intervals of the difference.

What repeats in a test is one group: all placements of a take, or all that one recording brings. A
take that is newly recognised in four scenes is one difference, not four.

*Sign test.* Under "no difference" each group in which the counts differ favours either detector
with probability 1/2, whatever its size, so the number that favour the new one is binomial. The
two-sided p is exact, for however few groups; with one trial a group it is McNemar's exact test.
Six groups that all agree are the fewest with p < 0.05.

*Interval.* Groups are drawn again with replacement and the 2.5 % and 97.5 % quantiles of the
difference are taken. Where few groups differ it is too narrow: it never decides alone.

Sources: McNemar, Psychometrika 12 (1947); Dixon and Mood, JASA 41 (1946), the sign test; Efron,
Annals of Statistics 7 (1979), the bootstrap; Field and Welsh, JRSS B 69 (2007), by clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Counts = npt.NDArray[np.int64]
ALPHA = 0.05
_RESAMPLES = 2000


@dataclass(frozen=True)
class SignTest:
    """Groups in which the new detector had fewer of what is counted, more, and what that says.

    Attributes:
        fewer, more: numbers of groups.
        p: two-sided, exact; 1 where no group differs.
    """

    fewer: int
    more: int
    p: float

    @property
    def shows_fewer(self) -> bool:
        """Whether chance alone would hardly favour the new one so."""
        return self.fewer > self.more and self.p < ALPHA


def sign_test(old: Counts, new: Counts) -> SignTest:
    """Compare two detectors' counts of errors, each (num_groups,) int64, group by group."""
    fewer, more = int((new < old).sum()), int((new > old).sum())
    p = float(stats.binomtest(fewer, fewer + more, 0.5).pvalue) if fewer + more else 1.0
    return SignTest(fewer, more, p)


def difference_interval(
    difference: Counts, weight: npt.NDArray[Any], *, seed: int
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of Σ difference / Σ weight over groups drawn again.

    Args:
        difference: (num_groups,) int64, new − old.
        weight: (num_groups,) what the rate is of: trials, or a share of the hours.
        seed: of the draws.
    """
    if not len(difference):
        return 0.0, 0.0
    drawn = np.random.default_rng(seed).integers(
        len(difference), size=(_RESAMPLES, len(difference))
    )
    rates = difference[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
    low, high = np.percentile(rates, [2.5, 97.5]).tolist()
    return low, high
