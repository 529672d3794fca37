"""One moment of a ledger's two databases, whichever make keeps them: statements in, plain rows out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from node.storage.place import Place, PostgresqlPlace

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


def open_moment(place: Place) -> Moment:
    """The present moment of the databases there. Raises as `Moment.rows`."""
    if isinstance(place, PostgresqlPlace):
        # The driver is an extra, which a node over SQLite does without: where it is missing, this says so.
        from node.storage.postgresql import load_driver  # noqa: PLC0415

        load_driver()
        from node.storage.postgresql_moment import PostgresqlMoment  # noqa: PLC0415

        return PostgresqlMoment(place)
    from node.storage.sqlite_moment import SqliteMoment  # noqa: PLC0415 - a make each

    return SqliteMoment(place)
