"""How often and after how long what failed in passing is tried again, without a word on anybody's screen.

Whoever retries with stamina has its hooks called, for the whole process, and by default they print. What the
SDK does again is its own business: of its retries only the log at level debug hears (logger `merchant_sdk`).
Whatever else in the process uses stamina keeps its hooks, and so does a program that sets some later.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from merchant_sdk.responses import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from stamina import Attempt
    from stamina.instrumentation import RetryDetails, RetryHook

_log = logging.getLogger("merchant_sdk")


def retry(*, attempts: int, wait_seconds: float) -> AsyncIterable[Attempt]:
    """So many attempts, each longer after the one before, or after as long as a `Failed` says."""
    # Imported when it is first needed: most calls succeed at once.
    import stamina  # noqa: PLC0415

    _silence_ours()
    return stamina.retry_context(
        on=_get_wait, attempts=attempts, timeout=None, wait_initial=wait_seconds, wait_jitter=wait_seconds
    )


@functools.cache
def _silence_ours() -> None:
    """Each hook of this process hears of every retry but ours."""
    from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks  # noqa: PLC0415

    set_on_retry_hooks([_pass_over_ours(hook) for hook in get_on_retry_hooks()] + [_note])


def _pass_over_ours(hook: RetryHook) -> RetryHook:
    def hear(details: RetryDetails) -> Any:
        return None if isinstance(details.caused_by, Failed) else hook(details)

    return hear


def _note(details: RetryDetails) -> None:
    if isinstance(details.caused_by, Failed):
        _log.debug("again in %.1f s: %s", details.wait_for, details.caused_by)


def _get_wait(error: Exception) -> bool | float:
    if not isinstance(error, Failed):
        return False
    return error.wait_seconds or True
