"""What participants do with their webhooks, and how an endpoint is shown to them: everything but the secret,
which is shown once, when it is made.

Whoever calls has found out whom the asker speaks for (`node.api.webhooks`). What somebody else registered
does not exist. Everything here blocks; it is for threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ledger.errors import Refused
from node.storage.webhooks import Endpoint
from node.webhooks.delivery import Webhooks


class Desk(Protocol):
    """A participant's endpoints. ``owner`` is the participant."""

    def register(self, owner: str, url: str, types: Sequence[str], after: int | None) -> dict[str, Any]:
        """A new endpoint, with its secret. Raises `Refused` ``BAD_REQUEST``."""
        ...

    def list_rows(self, owner: str) -> dict[str, Any]:
        """All there are, as ``rows``."""
        ...

    def show(self, owner: str, endpoint: str) -> dict[str, Any]:
        """One of them. Raises `Refused` ``NOT_FOUND``."""
        ...

    def remove(self, owner: str, endpoint: str) -> dict[str, Any]:
        """It is no more. Raises `Refused` ``NOT_FOUND``."""
        ...

    def restart(self, owner: str, endpoint: str, after: int | None) -> dict[str, Any]:
        """It is enabled, and goes on from where it stood or from behind ``after``. Raises `Refused`."""
        ...


class WebhookDesk:
    """The desk in the process that delivers."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def register(self, owner: str, url: str, types: Sequence[str], after: int | None) -> dict[str, Any]:
        """As `Desk.register`."""
        endpoint = self._webhooks.register(owner, url=url, types=types, after=after)
        return {**self._show(endpoint), "secret": endpoint.secret}

    def list_rows(self, owner: str) -> dict[str, Any]:
        """As `Desk.list_rows`."""
        return {"rows": [self._show(each) for each in self._webhooks.store.list_of(owner)]}

    def show(self, owner: str, endpoint: str) -> dict[str, Any]:
        """As `Desk.show`."""
        return self._show(self._find(owner, endpoint))

    def remove(self, owner: str, endpoint: str) -> dict[str, Any]:
        """As `Desk.remove`."""
        self._webhooks.remove(self._find(owner, endpoint).id)
        return {"id": endpoint}

    def restart(self, owner: str, endpoint: str, after: int | None) -> dict[str, Any]:
        """As `Desk.restart`."""
        self._webhooks.restart(self._find(owner, endpoint).id, after=after)
        return self._show(self._find(owner, endpoint))

    def _find(self, owner: str, endpoint_id: str) -> Endpoint:
        endpoint = self._webhooks.store.find(endpoint_id)
        if endpoint is None or endpoint.participant != owner:
            raise Refused("NOT_FOUND")
        return endpoint

    def _show(self, endpoint: Endpoint) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "attempts": endpoint.attempts,
            "created_at": endpoint.created_at,
            "cursor": endpoint.cursor,
            "failures": self._webhooks.store.list_failures(endpoint.id),
            "id": endpoint.id,
            "state": endpoint.state,
            "url": endpoint.url,
        }
        optional = {
            "delivered_at": endpoint.delivered_at,
            "next_attempt_at": endpoint.next_at,
            "reason": endpoint.reason,
            "types": endpoint.types,
        }
        return shown | {name: value for name, value in optional.items() if value}
