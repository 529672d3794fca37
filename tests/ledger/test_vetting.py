"""What one process found out about a transaction, another may take over; and only about that transaction."""

from __future__ import annotations

import pytest

from contracts.messages import Earn
from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.transaction import TransactionDecoder, sign_transaction
from tests.contracts.alliance import RULEBOOK
from tests.contracts.cast import ANNA, FRESH, START, make_signer

DECODER = TransactionDecoder(RULEBOOK.message_type)
SIGNER = make_signer(FRESH, "transact")


@pytest.fixture
def data() -> bytes:
    """The bytes of a transaction of three earnings."""
    earnings = [
        Earn(
            amount=10**8,
            member=ANNA,
            occurred_at=START,
            program="leaf",
            reference=f"order-{number}",
        )
        for number in range(3)
    ]
    return sign_transaction(
        earnings,
        chain="town/" + "0" * 32,
        sender=FRESH,
        transaction_id="t-1",
        not_after=START + 1_000,
        signer=SIGNER,
    ).encode()


def test_what_another_process_vetted_is_the_same_transaction(data):
    first = DECODER.decode(data)
    first.verify_signature(to_base64url(SIGNER.public))
    again = DECODER.decode_vetted(data, first.vetting)
    assert again.encode() == data
    for name in ("header", "messages", "message_bytes", "message_hashes", "signature", "verified_by"):
        assert getattr(again, name) == getattr(first, name)


@pytest.mark.parametrize(
    "change",
    [
        lambda vetting: vetting._replace(lengths=[*vetting.lengths, 2]),
        lambda vetting: vetting._replace(lengths=vetting.lengths[1:]),
        lambda vetting: vetting._replace(hashes=vetting.hashes + bytes(32)),
        lambda vetting: vetting._replace(hashes=vetting.hashes[32:]),
    ],
    ids=["a message more", "a message less", "a hash more", "a hash less"],
)
def test_a_vetting_of_another_transaction_is_noticed(data, change):
    with pytest.raises(Refused, match="MALFORMED"):
        DECODER.decode_vetted(data, change(DECODER.decode(data).vetting))


def test_a_signature_that_nobody_looked_at_is_still_to_be_checked(data):
    again = DECODER.decode_vetted(data, DECODER.decode(data).vetting)
    assert again.verified_by is None
    again.verify_signature(to_base64url(SIGNER.public))
