"""Limits, looking up, being told: the verbs of `merchant_sdk.client.limits`, `enquiries` and `endpoints`,
blocking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from ledger.values import POINTS_MAX
from merchant_sdk.amounts import Amount
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.client.limits import WHOLE_BASIS_POINTS
from merchant_sdk.policies import Policies
from merchant_sdk.programs import Program
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Endpoint, Evidence
from merchant_sdk.results import Balance, HistoryEntry, Position


class BlockingEnquiries(Blocking):
    """The verbs by which limits and webhooks are set, and those that move nothing."""

    def set_policy(
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
    ) -> Done:
        """How your program is spent, given away, awarded and clawed back from now on, all of it said anew.

        What is left out is as in a program without a policy; what was used of the bonus budget starts anew.
        """
        return self._run(
            self._verbs.set_policy(
                bonus_day=bonus_day,
                bonus_total=bonus_total,
                cooling_days=cooling_days,
                gifts=gifts,
                order_share_basis_points=order_share_basis_points,
                points_order=points_order,
                shortfall=shortfall,
                program=program,
            )
        )

    def set_till_limits(self, key: str, *, points_order: int, points_day: int, step_up: int) -> Done:
        """How far a till of yours (the id of its key) goes on its own word, without a member's points code.

        At most ``points_order`` an order and ``points_day`` a day; above ``step_up`` the member is asked.
        """
        return self._run(
            self._verbs.set_till_limits(
                key, points_order=points_order, points_day=points_day, step_up=step_up
            )
        )

    def set_debit_cap(self, participant: str, cap: Amount) -> Done:
        """The most that a participant may owe in all ("5000.00"). For the operator."""
        return self._run(self._verbs.set_debit_cap(participant, cap))

    def balances(self, member: str, *, min_height: int | None = None) -> list[Balance]:
        """A member's accounts, as far as we may see them."""
        return self._run(self._verbs.balances(member, min_height=min_height))

    def balance(self, member: str, program: str | None = None, *, min_height: int | None = None) -> Balance:
        """A member's account in one program, ours unless told; one that was never used is empty."""
        return self._run(self._verbs.balance(member, program, min_height=min_height))

    def history(self, member: str, program: str | None = None) -> Iterator[HistoryEntry]:
        """A member's entries, newest first, fetched as they are asked for."""
        return self._walk(self._verbs.history(member, program))

    def events(self, after: int = 0, *, follow: bool = False) -> Iterator[HistoryEntry]:
        """Everything that concerns us behind the index ``after``, oldest first, each entry once.

        Keep the `index` of the last one you are done with: it is where to go on. With ``follow`` it waits for
        more and never ends; else it ends with what is there.
        """
        return self._walk(self._verbs.events(after, follow=follow))

    def order(self, reference: str) -> list[HistoryEntry]:
        """Every entry of ours that names this number, oldest first: earned, spent, captured, returned."""
        return self._run(self._verbs.order(reference))

    def program(self, program: str | None = None) -> Program:
        """A program's pars and policy, ours unless told: what its points are worth, how they are spent."""
        return self._run(self._verbs.program(program))

    def positions(self) -> list[Position]:
        """What we are owed, less what we owe."""
        return self._run(self._verbs.positions())

    def receipt(self, index: int) -> Receipt:
        """The receipt of an entry, verified, of the history we trust. Keep its `data`."""
        return self._run(self._verbs.receipt(index))

    def wait_witnessed(self, index: int, timeout_seconds: float = 60.0) -> Receipt:
        """The receipt of an entry as soon as enough witnesses of the policy in force have cosigned it.

        Raises `RefusedByNode` ``NOT_WITNESSED`` after so long. Without a quorum there is nothing to wait for.
        """
        return self._run(self._verbs.wait_witnessed(index, timeout_seconds))

    def policy(self) -> str:
        """The policy file by which receipts are verified offline."""
        return self._run(self._verbs.policy())

    def policies(self) -> Policies:
        """That policy and those that followed or follow from it, as far as we know: its ``text`` verifies
        receipts of any epoch.
        """
        return self._run(self._verbs.policies())

    def list_evidence(self) -> list[Evidence]:
        """Signed notes of the log that contradicted each other, if that was ever found."""
        return self._verbs.list_evidence()

    def count_waiting(self) -> int:
        """How many transactions of the outbox are not known to be committed."""
        return self._verbs.count_waiting()

    def register_webhook(self, url: str, *, types: Sequence[str] = (), after: int | None = None) -> Endpoint:
        """A new address to which entries that concern you are delivered; its `secret` is shown this once.

        Only messages of these ``types`` ("redeem", "earn", …), all without; those behind the index ``after``,
        or from now on.
        """
        return self._run(self._verbs.register_webhook(url, types=types, after=after))

    def webhooks(self) -> list[Endpoint]:
        """Your addresses at this node, and how each is doing."""
        return self._run(self._verbs.webhooks())

    def remove_webhook(self, webhook: str) -> None:
        """Nothing more is delivered to this address (its `id`), and its secret is forgotten."""
        return self._run(self._verbs.remove_webhook(webhook))

    def restart_webhook(self, webhook: str, *, after: int | None = None) -> None:
        """An address that was disabled is enabled; with ``after``, all behind that index comes once more."""
        return self._run(self._verbs.restart_webhook(webhook, after=after))
