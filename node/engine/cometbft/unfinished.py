"""A database that CometBFT was stopped over while it made it is taken away before CometBFT starts, so that it
is made anew. Left where it is, CometBFT would never start again.

    data/state.db    LOCK, LOG, MANIFEST-000000, perhaps CURRENT.0    begun: nothing was ever put into it
                     CURRENT as well                                  finished, and none of ours to touch

CURRENT is put in place as one, before the first journal, and only ever replaced as one. A folder without it
that holds more than a beginning is a ruin, and left to its owner. So is everything where this validator may
have voted, and where the ledger holds a block of this engine: a CometBFT that begins anew below that could
not say what it knew. What is taken away is deleted: by its files it never held anything.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import structlog

from node.engine.cometbft.home import STATE_FILE

_NOTHING_YET: Final = frozenset({"LOCK", "LOG", "LOG.old"})
"""With no more than these CometBFT begins by itself."""
_BEGUN: Final = re.compile(r"LOCK|LOG|LOG\.old|MANIFEST-000000|CURRENT\.0")

log = structlog.get_logger("commonpoint.cometbft")


def remove_unfinished(home: Path, *, has_blocks: bool) -> None:
    """No database that was only begun is in CometBFT's way, where that is safe: see above. For when none
    runs. ``has_blocks``: whether the ledger holds a block of this engine.
    """
    for path in sorted((home / "data").glob("*.db/")):
        try:
            _clear(path, is_safe=not has_blocks and has_never_voted(home))
        except OSError as error:
            # CometBFT is started all the same, and says what is wrong.
            log.warning("a database of cometbft is not whole, and stays", path=str(path), reason=str(error))


def _clear(path: Path, *, is_safe: bool) -> None:
    files = sorted(each.name for each in path.iterdir())
    if "CURRENT" in files or set(files) <= _NOTHING_YET or _is_held(path):
        return
    if not is_safe or not all(map(_BEGUN.fullmatch, files)):
        log.error("a database of cometbft is not whole: see docs/how-to/recovery.md", path=str(path))
        return
    shutil.rmtree(path)
    log.warning("cometbft was stopped over a new database, which is made anew", path=str(path), had=files)


def has_never_voted(home: Path) -> bool:
    """Whether this validator has surely voted for nothing. A file that cannot be read may tell of a vote."""
    try:
        told: dict[str, Any] = json.loads((home / "data" / STATE_FILE).read_bytes())
        return (told["height"], told["round"], told["step"]) == ("0", 0, 0) and not told.get("signature")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _is_held(database: Path) -> bool:
    """Whether a process has it open: a CometBFT of before that has not ended yet."""
    with (database / "LOCK").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
