"""What a node tells by itself: entries delivered to an address of yours, signed, at least once and in order.

    hooks = Webhooks("whsec_…", policy=Path("policy.txt").read_text(), remember="outbox.db")

    event = hooks.receive(request.get_data(), request.headers)     or raises: answer with error.status
    with hooks.once(event) as is_new:
        if is_new:
            ...                                                    what the shop does about it

A delivery is believed when its signature (Standard Webhooks) is the secret's and not older than five minutes.
That says it came from the node; with a policy the receipt inside is verified too, offline, and that says the
entry is true. Where the alliance has decided on another policy since, it is found in the file of ``remember``
if that is a merchant's outbox: the merchant has accepted it there, and it is proven here once more.

What was not taken with a 2xx is delivered again under the same id, so the id is remembered once the work is
done, and not before.

Nothing here listens: that is your web framework's business.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from ledger.errors import Refused
from ledger.log.policy import Policy
from ledger.receipt import read_receipt
from merchant_sdk.errors import CommonpointError, ConfigurationError, Unverified
from merchant_sdk.outbox_file import OutboxFile
from merchant_sdk.policies import Policies, read_judge, read_stored_steps
from merchant_sdk.receipt import OF_ANOTHER_EPOCH, Receipt, read_receipt_by
from merchant_sdk.results import EntryText, HistoryEntry, read_history_entry

BODY_BYTES_MAX: Final = 2 * 1024 * 1024
KEPT_MILLIS: Final = 90 * 86_400_000
"""How long an id is remembered."""
_CLAIM_MILLIS: Final = 60_000
_STATUS: Final = {"WEBHOOK_REFUSED": 401, "WEBHOOK_MALFORMED": 400, "WEBHOOK_BUSY": 503}
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY, is_done INTEGER NOT NULL, at INTEGER NOT NULL)
    STRICT, WITHOUT ROWID
"""


class WebhookError(CommonpointError):
    """A delivery is not taken. Answer with ``status``: then it is delivered again where that can help.

    Codes: WEBHOOK_REFUSED (its signature or time), WEBHOOK_MALFORMED, WEBHOOK_BUSY (in hand elsewhere).
    """

    what_to_do = "Answer with error.status. If all are refused, compare the secret and this machine's clock."

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return _STATUS[self.code]


class WebhookEvent(HistoryEntry, frozen=True, kw_only=True):
    """An entry of the log that concerns you."""

    id: str
    """The delivery's id: the same whenever this entry is delivered again."""
    receipt: Receipt | None
    """Its receipt, verified; None without a policy to verify it by."""

    @property
    def sender(self) -> str | None:
        """The participant that sent it, as its receipt proves; of a `lapse`, whose hold it was.

        None without a policy, and for what has no sender (`expire`). Others choose their order numbers as
        they like: an entry is about an order of yours where the sender is you.
        """
        if self.receipt is None:
            return None
        told: str | None = self.receipt.sender or getattr(self.receipt.message, "sender", None)
        return told


class Headers(Protocol):
    """The headers of a request as a web framework has them: a mapping, or whatever lists names and values."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every name with its value."""


class _Delivery(Struct, frozen=True):
    entry: Raw
    height: int
    index: int
    time: int
    receipt: Raw = Raw(b"")


_DELIVERY: Final = msgspec.json.Decoder(_Delivery)
_ENTRY: Final = msgspec.json.Decoder(EntryText)


class Webhooks:
    """The receiving side of one address. Any thread, and several processes with one file."""

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        policy: Policy | str | bytes | Policies | None = None,
        remember: str | os.PathLike[str] | None = None,
    ) -> None:
        secrets = [secret] if isinstance(secret, str) else list(secret)
        try:
            self._signers = [Webhook(each) for each in secrets]
        except (ValueError, EmptyWebhookSecretError) as error:
            raise ConfigurationError("a secret is whsec_ and base64", reason=str(error)) from None
        if not self._signers:
            raise ConfigurationError("webhooks need the secret that the node gave")
        self._judge = None if policy is None else read_judge(policy)
        self._file = OutboxFile(remember)
        with self._file.write() as write:
            write.execute(_SCHEMA)

    def receive(self, body: bytes, headers: Headers) -> WebhookEvent:
        """The event in a delivery. Raises `WebhookError`, or `Unverified` where its receipt does not hold."""
        if len(body) > BODY_BYTES_MAX:
            raise WebhookError("WEBHOOK_MALFORMED", "larger than any delivery", {"bytes": len(body)})
        given = {name.lower(): value for name, value in headers.items()}
        self._check_signature(body, given)
        try:
            delivery = _DELIVERY.decode(body)
            told = _ENTRY.decode(delivery.entry)
            row = read_history_entry(
                index=delivery.index, height=delivery.height, time=delivery.time, entry=told
            )
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise WebhookError("WEBHOOK_MALFORMED", str(error)[:200]) from None
        return WebhookEvent(
            id=given["webhook-id"],
            index=row.index,
            height=row.height,
            time=row.time,
            message=row.message,
            outcome=row.outcome,
            receipt=None if self._judge is None else self._read_receipt(delivery, self._judge),
        )

    @contextmanager
    def once(self, event: WebhookEvent) -> Iterator[bool]:
        """Whether the event is new. It counts as done when the block ends without an error, and not before.

        Raises `WebhookError` (WEBHOOK_BUSY) where it is in hand elsewhere at this moment.
        """
        is_new = self._claim(event.id)
        try:
            yield is_new
        except BaseException:
            if is_new:
                with self._file.write() as write:
                    write.execute("DELETE FROM webhooks WHERE id = ?", (event.id,))
            raise
        if is_new:
            with self._file.write() as write:
                write.execute("UPDATE webhooks SET is_done = 1 WHERE id = ?", (event.id,))

    def close(self) -> None:
        """The file is closed."""
        self._file.close()

    def _check_signature(self, body: bytes, headers: dict[str, str]) -> None:
        reason = ""
        for signer in self._signers:
            try:
                signer.verify(body, headers, json_parse=False)
            except (WebhookVerificationError, ValueError) as error:
                reason = str(error)
            else:
                return
        raise WebhookError("WEBHOOK_REFUSED", reason[:200])

    def _read_receipt(self, delivery: _Delivery, judge: Policy | Policies) -> Receipt:
        """The receipt inside, which holds and is this entry's. Raises `Unverified`."""
        try:
            return _read_receipt(delivery, judge)
        except Unverified as error:
            # The alliance may have decided meanwhile whose word is enough.
            later = self._find_later(judge) if error.code in OF_ANOTHER_EPOCH else None
            if later is None:
                raise
        self._judge = later
        return _read_receipt(delivery, later)

    def _find_later(self, judge: Policy | Policies) -> Policies | None:
        """What follows from the policy that we were given, where the outbox in our file knows of more."""
        known = judge if isinstance(judge, Policies) else Policies(judge)
        rows = self._file.read(
            "SELECT anchor, step FROM policies WHERE chain = ? ORDER BY epoch", (known.chain,)
        )
        kept: dict[str, list[bytes]] = {}
        for anchor, step in rows:
            kept.setdefault(anchor, []).append(step)
        found = known
        for steps in kept.values():
            # What was kept under another policy file need not follow from ours.
            with suppress(Unverified):
                later = known.extend(read_stored_steps(steps))
                found = later if later.epoch > found.epoch else found
        return None if found is known else found

    def _claim(self, name: str) -> bool:
        now = time.time_ns() // 1_000_000
        with self._file.write() as write:
            write.execute("DELETE FROM webhooks WHERE at < ?", (now - KEPT_MILLIS,))
            found = write.execute("SELECT is_done, at FROM webhooks WHERE id = ?", (name,)).fetchone()
            if found is not None and found[0]:
                return False
            if found is not None and now - found[1] < _CLAIM_MILLIS:
                raise WebhookError("WEBHOOK_BUSY", "in hand elsewhere", {"id": name})
            write.execute("INSERT OR REPLACE INTO webhooks VALUES (?, 0, ?)", (name, now))
        return True


def _read_receipt(delivery: _Delivery, judge: Policy | Policies) -> Receipt:
    data = bytes(delivery.receipt)
    if isinstance(judge, Policies):
        # What is this new need not be cosigned yet; only a policy that was given is demanded to the letter.
        receipt = read_receipt_by(judge.known, data, demand=judge.demand_signature)
    else:
        receipt = Receipt.read(data, policy=judge)
    try:
        entry = read_receipt(receipt.data).entry.encode()
    except Refused as error:
        raise Unverified(error.code, facts=error.facts) from None
    is_ours = (receipt.index, entry) == (delivery.index, bytes(delivery.entry))
    if receipt.height is not None and (receipt.height, receipt.time) != (delivery.height, delivery.time):
        is_ours = False
    if not is_ours:
        raise Unverified("RECEIPT_OF_ANOTHER_ENTRY", facts={"told": delivery.index, "found": receipt.index})
    return receipt


def sign_delivery(
    secret: str, body: bytes, *, delivery_id: str, seconds: int | None = None
) -> dict[str, str]:
    """The headers of a delivery signed now, or at ``seconds`` UTC: for your own tests."""
    at = int(time.time()) if seconds is None else seconds
    moment = datetime.fromtimestamp(at, tz=UTC)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at),
        "webhook-signature": Webhook(secret).sign(delivery_id, moment, body.decode()),
    }
