"""The CometBFT program: where it is, and that it is the one this node was made for.

`COMMONPOINT_COMETBFT` names it; else it is where `scripts/cometbft` builds it, else on the path. Its version
must be the pinned one; where a checksum was written beside it when it was built, it must be that file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from node.keystore import Unusable

VERSION: Final = "0.39.4"
PROGRAM_VARIABLE: Final = "COMMONPOINT_COMETBFT"
CHECKSUM_SUFFIX: Final = ".sha256"
_BUILT: Final = Path(__file__).parents[3] / ".tools" / "bin" / "cometbft"
_ATTEMPTS_MAX: Final = 3
_SECONDS: Final = 30
_ADVICE: Final = (
    f"Run scripts/cometbft, which builds version {VERSION} with Go (https://go.dev/dl),"
    f" or set {PROGRAM_VARIABLE} to a program of that version."
)


def find_program() -> Path:
    """The program, found and held against version and checksum. Raises `Unusable`."""
    told = os.environ.get(PROGRAM_VARIABLE, "").strip()
    if told:
        program = Path(told)
    elif _BUILT.exists():
        program = _BUILT
    else:
        program = Path(shutil.which("cometbft") or "")
    if not program.is_file():
        raise Unusable("COMETBFT_MISSING", advice=_ADVICE, path=told or "cometbft")
    _check_sum(program)
    try:
        found = _ask_version(program)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unusable("COMETBFT_UNUSABLE", advice=_ADVICE, path=str(program), reason=str(error)) from None
    if found != VERSION:
        raise Unusable("COMETBFT_VERSION", advice=_ADVICE, expected=VERSION, found=found, path=str(program))
    return program


def _ask_version(program: Path, attempts: int = _ATTEMPTS_MAX) -> str:
    """What it says of itself. Raises `OSError` or `subprocess.SubprocessError`.

    Killed or too slow, it was the machine that failed and not the program: so it is asked again, since a node
    that finds it unusable stays stopped.
    """
    try:
        ran = subprocess.run(  # noqa: S603 - the program that its owner named
            [program, "version"], capture_output=True, timeout=_SECONDS, check=True, text=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        is_its_own = isinstance(error, subprocess.CalledProcessError) and error.returncode >= 0
        if is_its_own or attempts == 1:
            raise
        return _ask_version(program, attempts - 1)
    return ran.stdout.strip().removeprefix("v")


def _check_sum(program: Path) -> None:
    """It is the file that was built, where that was written down."""
    record = program.with_name(program.name + CHECKSUM_SUFFIX)
    try:
        expected = record.read_text("ascii").split()[0]
    except FileNotFoundError:
        return
    except (OSError, UnicodeError, IndexError):
        expected = "unreadable"
    with program.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise Unusable("COMETBFT_CHECKSUM", advice=_ADVICE, expected=expected, found=found)
