"""Calls: what a worker asks its core for besides taking transactions. All of them block, on threads.

Each is a method of `CoreCalls` and is called by its name; the worker knows what it gets back. What needs one
memory for the whole node is counted here, whichever worker it came through: rates, nonces, blocks cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.codec import encode
from ledger.errors import InvariantBroken, Refused
from node.answers import Taken
from node.api.limits import Limits
from node.api.webhook_desk import Desk
from node.core import NodeCore
from node.http_signatures import NonceWindow

_WEBHOOK_CALLS: Final = frozenset({"register", "list_rows", "show", "remove", "restart"})


class CoreCalls:
    """What may be called, by name."""

    def __init__(
        self,
        core: NodeCore,
        *,
        limits: Limits,
        webhooks: Desk | None,
        render_figures: Callable[[], bytes],
        on_broken: Callable[[InvariantBroken], None],
    ) -> None:
        self._core = core
        self._limits = limits
        self._webhooks = webhooks
        self._on_broken = on_broken
        self._nonces = NonceWindow()
        self._table: dict[str, Callable[..., Any]] = {
            "broken": self._break,
            "count": limits.count,
            "figures": render_figures,
            "history": core.find_history,
            "nonce": lambda key, nonce, now: self._nonces.use(key, nonce, now_seconds=now),
            "order": core.find_order,
            "absence": lambda *asked: encode(core.state_absence(*asked)),
            "promise": lambda data: encode(core.promise(data)),
            "policies": lambda: [encode(step) for step in core.list_policy_steps()],
            "record": core.get_record,
            "records": core.list_records,
            "rest": core.find_rest,
            "transaction": self._find_transaction,
            "webhook": self._manage,
            "witness_add": self._add_checkpoint,
            "witness_read": self._read_checkpoint,
            "witnessed": lambda: core.witnessed,
        }

    def run(self, name: str, arguments: list[Any]) -> Any:
        """What the call comes to. Raises what it raises."""
        return self._table[name](*arguments)

    def _find_transaction(self, sender: str, transaction_id: str) -> tuple[Any, ...] | None:
        found = self._core.find_transaction(sender, transaction_id)
        if found is None:
            return None
        taken: Taken = found[1]
        return found[0], taken.height, taken.index, taken.time, taken.outcomes

    def _manage(self, name: str, *arguments: Any) -> Any:
        if self._webhooks is None or name not in _WEBHOOK_CALLS:
            raise Refused("NOT_FOUND")
        return getattr(self._webhooks, name)(*arguments)

    def _add_checkpoint(self, data: bytes) -> tuple[int, str, str]:
        if self._core.desk is None:
            raise Refused("NOT_FOUND")
        reply = self._core.desk.add_checkpoint(data)
        return reply.status, reply.body, reply.media_type

    def _read_checkpoint(self, origin_hash: str) -> str | None:
        return None if self._core.desk is None else self._core.desk.read_checkpoint(origin_hash)

    def _break(self, code: str, facts: dict[str, Any]) -> None:
        self._on_broken(InvariantBroken(code, **facts))
