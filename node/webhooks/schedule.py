"""When a delivery that failed is tried again: soon at first, then ever less often, for about three days.

Each wait is drawn from the fifth around its length, so that endpoints which failed together do not come back
together. After the last attempt the endpoint is disabled, and somebody has to look at it.
"""

from __future__ import annotations

import secrets
from typing import Final

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE

WAITS_MILLIS: Final = (
    5 * _SECOND,
    30 * _SECOND,
    2 * _MINUTE,
    10 * _MINUTE,
    30 * _MINUTE,
    1 * _HOUR,
    2 * _HOUR,
    4 * _HOUR,
    8 * _HOUR,
    12 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""The wait after each failed attempt but the last: about 72 hours in all."""
WAIT_MILLIS_MAX: Final = WAITS_MILLIS[-1] + WAITS_MILLIS[-1] // 5


def compute_wait(attempt: int, *, retry_after_seconds: int = 0) -> int | None:
    """Milliseconds until the attempt after this one, the first being 1; None where it was the last.

    Who answers with `Retry-After` is not asked before.
    """
    if attempt > len(WAITS_MILLIS):
        return None
    wait = WAITS_MILLIS[attempt - 1]
    fifth = wait // 5
    drawn = wait - fifth + secrets.randbelow(2 * fifth + 1)
    return max(drawn, retry_after_seconds * 1_000)
