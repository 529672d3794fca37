"""The year-end statement, written by the command that anybody would use: `commonpoint settlement statement`.

Each form is made from the log by a process of its own, which writes nothing whose hash is not the log's. What
a form needs that is not installed leaves that form out, and it is said.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ledger.codec import sha256, to_base64url
from scripts.year.node_process import COMMAND
from scripts.year.proof import NotGood

FORMS: Final = ("json", "csv", "html", "pdf")
_MISSING: Final = "EXTRA_MISSING"


class Exported(NamedTuple):
    """What was written, and what was not."""

    folder: Path
    sizes: Mapping[str, int]
    """File name → bytes."""
    missing: tuple[str, ...]
    """Forms for which an extra is not installed."""


def export_statements(directory: Path, *, window: int, digest: str) -> Exported:
    """A window's statement in every form there is, in a folder of the data directory.

    Raises `NotGood` where the command finds something, or the canonical bytes are not those of the hash.
    """
    folder = directory / "statements"
    folder.mkdir(mode=0o700, exist_ok=True)
    running = {form: _start(directory, folder, window=window, form=form) for form in FORMS}
    sizes: dict[str, int] = {}
    missing: list[str] = []
    for form, process in running.items():
        _, said = process.communicate()
        file = _get_file(folder, window=window, form=form)
        if process.returncode == 0:
            sizes[file.name] = file.stat().st_size
        elif _MISSING in said:
            missing.append(form)
        else:
            raise NotGood(f"the statement of window {window} as {form}: {said.strip()}")
    found = to_base64url(sha256(_get_file(folder, window=window, form="json").read_bytes()))
    if found != digest:
        raise NotGood(f"window {window} was exported with the hash {found}, but the log has {digest}")
    return Exported(folder, sizes, tuple(missing))


def _get_file(folder: Path, *, window: int, form: str) -> Path:
    return folder / f"window-{window:06d}.{form}"


def _start(directory: Path, folder: Path, *, window: int, form: str) -> subprocess.Popen[str]:
    file = _get_file(folder, window=window, form=form)
    file.unlink(missing_ok=True)
    asked = ["--data", str(directory), "--window", str(window), "--format", form, "--out", str(file)]
    return subprocess.Popen(
        [*COMMAND, "settlement", "statement", *asked],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
