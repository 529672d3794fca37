"""Intake promises, asked for and checked: the verbs of `merchant_sdk.client.promise_verbs`, blocking."""

from __future__ import annotations

from merchant_sdk.client.blocking import Blocking
from merchant_sdk.promises import Promised


class BlockingPromises(Blocking):
    """The verbs about intake promises."""

    def ask_promises(self) -> list[Promised]:
        """The operator's signed promise for every transaction whose fate is open: by when a block holds it.

        Ask when an outcome is unknown, or an answer is long in coming; the same bytes are sent once more for
        it. Every promise that is held is in the list, also those of earlier starts. Where several make the
        blocks nobody promises, and the list stays empty.
        """
        return self._run(self._verbs.ask_promises())

    def check_promises(self) -> list[Promised]:
        """How each promise that is held stands, by the log's own clock. Ask where you ask `flush`.

        One that was broken is told once, with the file beside the outbox that shows it to anybody. The log's
        clock is that of its blocks: where nobody else sends anything, it goes on with what you send next.
        """
        return self._run(self._verbs.check_promises())
