"""What every verb needs: a connection to ask, and our own program where none is named."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

from contracts.messages.consent_text import Purpose
from merchant_sdk.client.connection import Connection
from merchant_sdk.client.recalling import Minding
from merchant_sdk.errors import CommonpointError, InvalidRequest
from merchant_sdk.order_names import OrderName
from merchant_sdk.points_code import PointsCode
from merchant_sdk.requests import read_consent
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

    async def _fail(
        self, error: CommonpointError, kind: str, number: object, program: str | None
    ) -> NoReturn:
        """As what ends `_minding` with an error, where thousands of calls a second are to cost little."""
        async with self._minding(kind, number, program):
            raise error

    def _minding(self, kind: str, number: object, program: str | None) -> Minding:
        """Whatever fails within, the order's fate is told as the outbox knows it (`Recall.minding`)."""
        name = OrderName(kind, number, program) if isinstance(number, str) else None
        return self._connection.recall.minding(name)

    async def _read_payment(
        self, code: PointsCode | str, program: str | None, *, purpose: Purpose, without_code: bool
    ) -> tuple[PointsCode | str, str]:
        """What the till was handed, and whose points it is about: the code says so, else they are ours."""
        if without_code:
            if not (isinstance(code, str) and code.startswith("m_")):
                raise InvalidRequest("without_code=True is for a member's id, and this is none")
            return code, await self._get_program(program)
        try:
            found = read_consent(code, purpose=purpose)
        except InvalidRequest as error:
            if "member" in error.facts:
                # Whoever types an id, or shows one as a code, must not spend somebody else's points with it.
                error.what_to_do = (
                    "Ask the member for a points code; nothing was sent. At your own tills, where you know "
                    "the member in another way, pass without_code=True."
                )
            raise
        if program not in (None, found.program):
            raise InvalidRequest("this code is for other points", program=program, code=found.program)
        return found, found.program
