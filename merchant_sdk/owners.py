"""Who has a stored transaction in hand: an open outbox, named so that others can tell whether it still lives.

The name begins with the process id. Of this process we know which outboxes are open; of another one the
system says whether it lives. Where that cannot be said, or is said wrongly (a number given out anew, another
container), a lease decides (`merchant_sdk.outbox`); nothing that is true depends on either.
"""

from __future__ import annotations

import os
import secrets
from typing import Final

_open: Final[set[str]] = set()
"""The owners that are open in this process."""


def open_owner() -> str:
    """A new owner of this process."""
    owner = f"{os.getpid()}:{secrets.token_hex(8)}"
    _open.add(owner)
    return owner


def close_owner(owner: str) -> None:
    """What it had in hand is free."""
    _open.discard(owner)


def is_alive(owner: str) -> bool:
    """Whether it may still have something in hand."""
    process = int(owner.partition(":")[0])
    if process == os.getpid():
        return owner in _open
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
