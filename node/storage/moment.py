"""One moment of a ledger's two databases, whichever make keeps them: statements in, plain rows out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

Row = tuple[Any, ...]


class Moment(Protocol):
    """A read transaction that spans log and views, and cannot write."""

    @property
    def has_views(self) -> bool:
        """Whether there are any views."""
        ...

    @property
    def marks(self) -> tuple[str, str]:
        """What the log's table of marks is called, and the views'. No other name is in both."""
        ...

    def rows(self, statement: str, *values: int | str) -> Iterator[Row]:
        """The rows of a statement with ``?`` where a value goes, as stored.

        Raises `SourceUnavailable` where they cannot be reached, `InvalidBlock` where the database says that
        it is broken.
        """
        ...

    def close(self) -> None:
        """The moment is let go of."""
        ...
