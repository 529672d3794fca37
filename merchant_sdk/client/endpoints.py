"""Where a node tells you by itself what happened: addresses of yours that it delivers entries to.

They belong to the node that was asked, not to the ledger: a merchant that uses two nodes registers at one of
them. The receiving side is `merchant_sdk.webhooks`. Needs a token of a transact or govern key.
"""

from __future__ import annotations

from collections.abc import Sequence

from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.records import Endpoint


class EndpointVerbs(Asking[R, C]):
    """The verbs by which webhooks are managed."""

    async def register_webhook(
        self, url: str, *, types: Sequence[str] = (), after: int | None = None
    ) -> Endpoint:
        """A new address to which entries that concern you are delivered; its `secret` is shown this once.

        Only messages of these ``types`` ("redeem", "earn", …), all without; those behind the index ``after``,
        or from now on.
        """
        wanted: dict[str, object] = {"url": url}
        if types:
            wanted["types"] = list(types)
        if after is not None:
            wanted["after"] = after
        return await self._connection.reader.register_webhook(wanted)

    async def webhooks(self) -> list[Endpoint]:
        """Your addresses at this node, and how each is doing."""
        return await self._connection.reader.list_webhooks()

    async def remove_webhook(self, webhook: str) -> None:
        """Nothing more is delivered to this address (its `id`), and its secret is forgotten."""
        await self._connection.reader.change_webhook("DELETE", webhook, "", None)

    async def restart_webhook(self, webhook: str, *, after: int | None = None) -> None:
        """An address that was disabled is enabled; with ``after``, all behind that index comes once more."""
        if after is None:
            await self._connection.reader.change_webhook("POST", webhook, "/enable", None)
        else:
            await self._connection.reader.change_webhook("POST", webhook, "/redeliver", {"after": after})
