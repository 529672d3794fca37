"""The verbs by which a merchant holds a log's operator to its word: intake promises, asked and checked."""

from __future__ import annotations

from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.promises import Promised


class PromiseVerbs(Asking[R, C]):
    """The verbs about intake promises."""

    async def ask_promises(self) -> list[Promised]:
        """The operator's signed promise for every transaction whose fate is open: by when a block holds it.

        Ask when an outcome is unknown, or an answer is long in coming; the same bytes are sent once more for
        it. Every promise that is held is in the list, also those of earlier starts. Where several make the
        blocks nobody promises, and the list stays empty.
        """
        return await (await self._connection.open_promises()).ask_all()

    async def check_promises(self) -> list[Promised]:
        """How each promise that is held stands, by the log's own clock. Ask where you ask `flush`.

        One that was broken is told once, with the file beside the outbox that shows it to anybody. The log's
        clock is that of its blocks: where nobody else sends anything, it goes on with what you send next.
        """
        return await (await self._connection.open_promises()).check_all()
