"""The bearer tokens by which sources let a follower read: one for all of them, or to each its own.

A file of them is read again whenever a source refuses what it was shown, so whoever renews tokens need not
stop the follower. Its lines:

    https://points.example cpt_…     for this source alone
    cpt_…                            for every source that is not named

A token is shown to whom it is for and to nobody else, so of several sources each should be named.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from node.storage.atomic import read_file


class Tokens(NamedTuple):
    """Where tokens are to be had. Another process may be given it."""

    token: str | None = None
    """For every source, where there is no file."""
    file: Path | None = None

    def read_for(self, url: str) -> str | None:
        """The token of this moment for the source at an address, where there is one."""
        if self.file is None:
            return self.token
        words = (read_file(self.file) or b"").decode("utf-8", "replace").splitlines()
        lines = [line.split() for line in words if line.strip() and not line.startswith("#")]
        own = (line[1] for line in lines if len(line) == 2 and line[0].rstrip("/") == url)
        common = (line[0] for line in lines if len(line) == 1)
        return next(own, None) or next(common, None)
