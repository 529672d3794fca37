"""A payment file is what a bank can pay, to accounts that were given, and adds up to the statement."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from node.statements.accounts import Unpayable, is_iban, read_accounts
from node.statements.payments import NAMESPACE, make_pain001
from tests.node.statements.example import make_example

ACCOUNTS = """participant,name,iban,account,bic
ada,面包房,DE89 3704 0044 0532 0130 00,,COBADEFFXXX
bo,Bo & Söhne <x>,GB29NWBK60161331926819,,
cy,Cy,,6222 0000 1234,
"""


@pytest.fixture
def accounts(tmp_path):
    (tmp_path / "accounts.csv").write_text(ACCOUNTS, encoding="utf-8")
    return read_accounts(tmp_path / "accounts.csv")


def find(node, path):
    return [
        each.text for each in node.findall("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))
    ]


def test_a_payment_file_has_a_part_for_each_payer_and_adds_up(accounts):
    sheet = make_example()
    made = make_pain001(sheet, accounts)
    assert made == make_pain001(sheet, accounts)
    message = ET.fromstring(made)[0]
    parts = message.findall(f"{{{NAMESPACE}}}PmtInf")
    assert len(parts) == len({each.payer for each in sheet.transfers})
    amounts = [amount for part in parts for amount in find(part, "CdtTrfTxInf/Amt/InstdAmt")]
    assert find(message, "GrpHdr/NbOfTxs") == [str(len(amounts))] == [str(len(sheet.transfers))]
    cents = sum(int(amount.replace(".", "")) for amount in amounts)
    assert find(message, "GrpHdr/CtrlSum") == [f"{cents // 100}.{cents % 100:02d}"]
    assert cents == sum(each.units for each in sheet.transfers)
    named = [name for part in parts for name in find(part, "CdtTrfTxInf/PmtId/EndToEndId")]
    assert sorted(named) == [f"W12-T{each.place}" for each in sheet.transfers]
    assert "Bo & Söhne <x>" in find(message, "PmtInf/CdtTrfTxInf/Cdtr/Nm")


def test_a_payers_file_has_its_own_payments_alone(accounts):
    sheet = make_example(participant="ada")
    message = ET.fromstring(make_pain001(sheet, accounts, pay_on="2026-12-01"))[0]
    assert find(message, "PmtInf/Dbtr/Id/OrgId/Othr/Id") == ["ada"]
    assert find(message, "PmtInf/ReqdExctnDt/Dt") == ["2026-12-01"]
    with pytest.raises(Unpayable) as caught:
        make_pain001(make_example(participant="bo"), accounts)
    assert caught.value.code == "NOTHING_TO_PAY"


@pytest.mark.parametrize(
    ("currency", "unit", "code"),
    [("CNY", 1_000, "AMOUNT_NOT_PAYABLE"), ("JPY", 10_000, "AMOUNT_NOT_PAYABLE")],
)
def test_what_no_bank_can_pay_is_no_payment(accounts, currency, unit, code):
    with pytest.raises(Unpayable) as caught:
        make_pain001(make_example(currency=currency, unit=unit), accounts)
    assert caught.value.code == code


def test_a_currency_without_a_minor_unit_is_paid_in_whole_ones(accounts):
    message = ET.fromstring(make_pain001(make_example(currency="JPY", unit=1_000_000), accounts))[0]
    assert all(amount.isdigit() for amount in find(message, "PmtInf/CdtTrfTxInf/Amt/InstdAmt"))


def test_an_account_that_is_missing_is_named(accounts):
    del accounts["bo"]
    with pytest.raises(Unpayable) as caught:
        make_pain001(make_example(), accounts)
    assert (caught.value.code, caught.value.facts["participant"]) == ("ACCOUNT_MISSING", "bo")


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("ada,A,DE88370400440532013000,,", "iban"),
        ("ada,A,,,", "account"),
        ("ada,,DE89370400440532013000,,", "name"),
        ("ada,A,DE89370400440532013000,,NOBIC", "bic"),
    ],
)
def test_an_account_that_cannot_be_one_is_refused_with_its_line(tmp_path, line, column):
    path = tmp_path / "a.csv"
    path.write_text("participant,name,iban,account,bic\n" + line + "\n")
    with pytest.raises(Unpayable) as caught:
        read_accounts(path)
    assert caught.value.facts == {"line": 2, "column": column}


def test_an_iban_with_two_characters_swapped_is_none():
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE89370400440532013030")
    assert not is_iban("DE89370400440532010300")
