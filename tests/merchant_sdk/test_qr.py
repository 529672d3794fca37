"""A QR code gives back the text it was made of, and what would not is refused."""

from __future__ import annotations

import re
import zlib

import pytest

from merchant_sdk import QR, InvalidRequest, PointsCode, Receipt, Unverified, Wallet
from merchant_sdk.base45 import ALPHABET, encode_base45
from merchant_sdk.receipt import QR_PREFIX
from node.sandbox import sandbox
from tests.merchant_sdk.qr_reader import read_qr

CHAIN = "village/" + "0" * 32
CODE = Wallet(CHAIN).points_code("fresh", 40, acceptor="petrol")


@pytest.mark.parametrize("length", [1, 2, 25, 26, 100, 473, 1_000, 2_331, 4_296])
@pytest.mark.parametrize("level", ["L", "M", "H"])
def test_what_was_drawn_is_read_back(length, level):
    text = (ALPHABET * 100)[:length]
    if length > {"L": 4_296, "M": 3_391, "H": 1_852}[level]:
        with pytest.raises(InvalidRequest, match="too long"):
            QR(text, level=level)
        return
    symbol = QR(text, level=level)
    assert len(symbol.modules) == 17 + 4 * symbol.version
    assert read_qr(symbol.modules) == text


@pytest.mark.parametrize("text", ["", "lower case", "ÄÖ", "A\n", "通分"])
def test_a_text_that_would_come_out_in_another_mode_is_refused(text):
    with pytest.raises(InvalidRequest):
        QR(text)


def test_a_text_too_long_or_too_dense_is_refused():
    with pytest.raises(InvalidRequest, match="too long"):
        QR("A" * 4_297, level="L")
    with pytest.raises(InvalidRequest, match="too dense"):
        QR("A" * 1_000, version_max=10)


def test_a_points_code_is_scanned_as_it_was_signed():
    symbol = CODE.qr()
    assert PointsCode.decode(read_qr(symbol.modules)) == CODE
    assert symbol.version <= 17
    assert symbol.level in "MQH"


def test_a_code_is_shown_on_a_page_on_paper_and_in_a_terminal():
    symbol = CODE.qr()
    side = (17 + 4 * symbol.version + 8) * 4
    assert re.match(rf'<svg width="{side}" height="{side}"', symbol.svg())
    assert symbol.png().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(symbol.png(scale=8)) > len(symbol.png(scale=1))
    assert str(symbol) == symbol.terminal()
    assert len(set(map(len, symbol.terminal().splitlines()))) == 1


@pytest.fixture(scope="module")
def receipts():
    """A receipt of a redemption elsewhere, and the policy."""
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        fresh, petrol = alliance.merchant("fresh"), alliance.merchant("petrol")
        wallet = alliance.wallet()
        fresh.enrol(wallet)
        fresh.earn(wallet.member, "45.60", "A-1")
        done = petrol.redeem(wallet.points_code("fresh", 40, "petrol"), 30, "P-7")
        return done.receipt(), petrol.policy()


def test_a_receipt_fits_one_symbol_with_all_that_proves_it(receipts):
    receipt, policy = receipts
    symbol = receipt.qr()
    assert symbol.version <= 30
    assert symbol.text.startswith(QR_PREFIX)
    read = Receipt.read_qr(read_qr(symbol.modules), policy=policy)
    assert (read.data, read.index, read.message) == (receipt.data, receipt.index, receipt.message)


def test_a_receipt_is_verified_again_offline(receipts):
    import msgspec

    receipt, policy = receipts
    assert receipt.verify() == receipt
    assert receipt.verify(policy).index == receipt.index
    for changed in ({"index": receipt.index + 1}, {"sender": "fresh"}, {"outcome": None}):
        with pytest.raises(Unverified, match="RECEIPT_CHANGED"):
            msgspec.structs.replace(receipt, **changed).verify()
    with pytest.raises(Unverified):
        msgspec.structs.replace(receipt, data=receipt.data.replace(b"P-7", b"P-8")).verify()
    # Under the policy of another alliance the same receipt proves nothing.
    with sandbox(merchants=("fresh",), seed="another") as other, pytest.raises(Unverified):
        receipt.verify(other.merchant("fresh").policy())


def pack(data):
    return QR_PREFIX + encode_base45(zlib.compress(data))


def test_what_is_no_receipt_is_refused_however_it_is_packed(receipts):
    receipt, policy = receipts
    text = receipt.qr().text
    bomb = pack(b"0" * 10**7)
    for bad in (CODE.encode(), text[:-3], text[:-2] + "%%", pack(receipt.data) + "00", bomb, QR_PREFIX, ""):
        with pytest.raises(InvalidRequest):
            Receipt.read_qr(bad, policy=policy)
    with pytest.raises(Unverified):
        Receipt.read_qr(pack(receipt.data[:-1]), policy=policy)
    with pytest.raises(InvalidRequest):
        PointsCode.decode(text)
