"""What an issuer sets for its program, a merchant for its tills, the operator for who may owe how much.

Each of these needs a govern key and holds from the next message on.
"""

from __future__ import annotations

from typing import Final, Literal

from contracts.messages import SetDebitCap, SetPolicy, SetTillLimits
from ledger.values import POINTS_MAX
from merchant_sdk.amounts import Amount, get_micros
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.results import Committed

WHOLE_BASIS_POINTS: Final = 10_000


class LimitVerbs(Asking[R, C]):
    """The verbs by which limits are set."""

    async def set_policy(
        self,
        *,
        bonus_day: int = 0,
        bonus_total: int = 0,
        cooling_days: int = 0,
        gifts: Literal["allowed", "forbidden"] = "allowed",
        order_share_basis_points: int = WHOLE_BASIS_POINTS,
        points_order: int = POINTS_MAX,
        shortfall: Literal["debt", "absorb", "block"] = "debt",
        program: str | None = None,
    ) -> Committed[R]:
        """How your program is spent, given away, awarded and clawed back from now on, all of it said anew.

        What is left out is as in a program without a policy; what was used of the bonus budget starts anew.
        """
        message = SetPolicy(
            bonus_day=bonus_day,
            bonus_total=bonus_total,
            cooling_days=cooling_days,
            gifts=gifts,
            order_share_basis_points=order_share_basis_points,
            points_order=points_order,
            program=await self._get_program(program),
            shortfall=shortfall,
        )
        return await self._connection.ask(message)

    async def set_till_limits(
        self, key: str, *, points_order: int, points_day: int, step_up: int
    ) -> Committed[R]:
        """How far a till of yours (the id of its key) goes on its own word, without a member's points code.

        At most ``points_order`` an order and ``points_day`` a day; above ``step_up`` the member is asked.
        """
        message = SetTillLimits(key=key, points_day=points_day, points_order=points_order, step_up=step_up)
        return await self._connection.ask(message)

    async def set_debit_cap(self, participant: str, cap: Amount) -> Committed[R]:
        """The most that a participant may owe in all ("5000.00"). For the operator."""
        return await self._connection.ask(SetDebitCap(cap=get_micros(cap), participant=participant))
