"""What every verb needs: a connection to ask, and our own program where none is named."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from merchant_sdk.client.connection import Connection
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.points_code import PointsCode
from merchant_sdk.requests import read_code
from merchant_sdk.results import Committed

R = TypeVar("R")
"""What asking a result for its receipt gives: a receipt, or one to be awaited."""
C = TypeVar("C")
"""What completing a hold gives: a result, or one to be awaited."""


class Asking(Generic[R, C]):
    """A participant who asks."""

    _connection: Connection[R]

    async def _ask(self, message: Any, occurred_at: int | None) -> Committed[R]:
        """The result of a message; without a moment of its own it gets one, the same when asked again."""
        return await self._connection.ask(message, is_dated=occurred_at is not None)

    async def _get_program(self, program: str | None) -> str:
        """The program named, or our own."""
        return program or await self._connection.get_program()

    async def _read_payment(
        self, code: PointsCode | str, program: str | None
    ) -> tuple[PointsCode | str, str]:
        """What the till was handed, and whose points it is about: the code says so, else they are ours."""
        found = read_code(code)
        if isinstance(found, PointsCode):
            if program not in (None, found.program):
                raise InvalidRequest("this code is for other points", program=program, code=found.program)
            return found, found.program
        return found, await self._get_program(program)
