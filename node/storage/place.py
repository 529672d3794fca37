"""Where a ledger's databases are: a file, or a PostgreSQL database of its own.

Nothing is opened here, and no database's driver is needed to say where one is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_POSTGRESQL: Final = "postgresql "
_FILE: Final = "file "


class PostgresqlPlace:
    """A PostgreSQL database by its address, as libpq reads it. The address may hold a password: it is never
    shown.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __repr__(self) -> str:
        return "PostgresqlPlace(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresqlPlace) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)


Place = Path | PostgresqlPlace
"""The log's file, with the views beside it; or the database that holds both."""


def format_place(place: Place) -> str:
    """The place as text for another process of ours. It may hold a password: it is for no log and no command
    line.
    """
    return f"{_POSTGRESQL}{place.address}" if isinstance(place, PostgresqlPlace) else f"{_FILE}{place}"


def parse_place(text: str) -> Place:
    """What `format_place` wrote."""
    if text.startswith(_POSTGRESQL):
        return PostgresqlPlace(text.removeprefix(_POSTGRESQL))
    return Path(text.removeprefix(_FILE))
