"""A window's payments as an ISO 20022 customer credit transfer, pain.001.001.09: what a bank takes in.

One `PmtInf` a payer, one transaction a transfer, amounts in the ledger's currency. The end-to-end id is the
window's and the transfer's number (`W12-T3`), so what the bank reports can be attested under the same number.
The message's id follows from the statement's hash: the same statement makes the same file, and a bank that
has it already says so.

Accounts come from outside (`node.statements.accounts`). What is attested already is not left out: a statement
does not say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from ledger.codec import from_base64url
from node.statements.accounts import Account, Unpayable, find_account
from node.statements.figures import format_date, format_local
from node.statements.view import Sheet, Transfer

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_ID_CHARACTERS_MAX: Final = 35
_DIGEST_BYTES: Final = 32
_SHOWN_BYTES: Final = 8
_MICROS_PLACES: Final = 6
_PLACES: Final = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "RWF", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217: places of the minor unit, where they are not two."""


def make_pain001(sheet: Sheet, accounts: Mapping[str, Account], *, pay_on: str | None = None) -> bytes:
    """The file. For one participant what it has to pay, else everybody's payments.

    Raises `Unpayable`: ``NOTHING_TO_PAY``, ``ACCOUNT_MISSING``, ``AMOUNT_NOT_PAYABLE``.
    """
    transfers = [each for each in sheet.transfers if sheet.participant in (None, each.payer)]
    if not transfers:
        raise Unpayable("NOTHING_TO_PAY", window=sheet.statement.window)
    document = ET.Element("Document", {"xmlns": NAMESPACE})
    message = ET.SubElement(document, "CstmrCdtTrfInitn")
    header = ET.SubElement(message, "GrpHdr")
    identity = from_base64url(sheet.digest, size=_DIGEST_BYTES)[:_SHOWN_BYTES].hex()
    _add(header, "MsgId", f"CP-{sheet.statement.window}-{identity}")
    day, time, offset = format_local(
        sheet.statement.closed_at, utc_offset_minutes=sheet.utc_offset_minutes
    ).split(" ")
    _add(header, "CreDtTm", f"{day}T{time}{offset}")
    _add_sums(header, sheet, transfers)
    initiator = sheet.participant or sheet.statement.chain.partition("/")[0]
    _add(ET.SubElement(header, "InitgPty"), "Nm", sheet.get_name(initiator))
    payers = sorted({each.payer for each in transfers})
    for number, payer in enumerate(payers, start=1):
        payment = ET.SubElement(message, "PmtInf")
        _add(payment, "PmtInfId", f"CP-{sheet.statement.window}-{number}-{identity}")
        own = [each for each in transfers if each.payer == payer]
        date = pay_on or format_date(sheet.statement.closed_at, utc_offset_minutes=sheet.utc_offset_minutes)
        _add_payments(payment, sheet, own, accounts, date=date)
    ET.indent(document)
    made: bytes = ET.tostring(document, encoding="UTF-8", xml_declaration=True)
    return made + b"\n"


def _add_payments(
    payment: ET.Element,
    sheet: Sheet,
    transfers: Sequence[Transfer],
    accounts: Mapping[str, Account],
    *,
    date: str,
) -> None:
    """What one payer pays."""
    payer = transfers[0].payer
    account = find_account(accounts, payer)
    _add(payment, "PmtMtd", "TRF")
    _add_sums(payment, sheet, transfers)
    _add(ET.SubElement(payment, "ReqdExctnDt"), "Dt", date)
    _add_party(payment, "Dbtr", payer, account)
    _add_account(payment, "DbtrAcct", account)
    _add_agent(payment, "DbtrAgt", account)
    for each in transfers:
        payee = find_account(accounts, each.payee)
        transaction = ET.SubElement(payment, "CdtTrfTxInf")
        name = f"W{sheet.statement.window}-T{each.place}"
        identity = ET.SubElement(transaction, "PmtId")
        _add(identity, "InstrId", name)
        _add(identity, "EndToEndId", name)
        amount = _add(ET.SubElement(transaction, "Amt"), "InstdAmt", _format(sheet, each.units))
        amount.set("Ccy", sheet.statement.currency)
        if payee.bic:
            _add_agent(transaction, "CdtrAgt", payee)
        _add_party(transaction, "Cdtr", each.payee, payee)
        _add_account(transaction, "CdtrAcct", payee)
        told = f"{sheet.statement.chain} window {sheet.statement.window} transfer {each.place}"
        _add(ET.SubElement(transaction, "RmtInf"), "Ustrd", told[:140])


def _add(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = text
    return child


def _add_sums(parent: ET.Element, sheet: Sheet, transfers: Sequence[Transfer]) -> None:
    _add(parent, "NbOfTxs", str(len(transfers)))
    _add(parent, "CtrlSum", _format(sheet, sum(each.units for each in transfers)))


def _add_party(parent: ET.Element, name: str, participant: str, account: Account) -> None:
    """The name as the bank knows it, and the ledger's id where it fits."""
    party = ET.SubElement(parent, name)
    _add(party, "Nm", account.name)
    if len(participant) <= _ID_CHARACTERS_MAX:
        other = ET.SubElement(ET.SubElement(ET.SubElement(party, "Id"), "OrgId"), "Othr")
        _add(other, "Id", participant)


def _add_account(parent: ET.Element, name: str, account: Account) -> None:
    identity = ET.SubElement(ET.SubElement(parent, name), "Id")
    if account.iban:
        _add(identity, "IBAN", account.iban)
    else:
        _add(ET.SubElement(identity, "Othr"), "Id", account.other)


def _add_agent(parent: ET.Element, name: str, account: Account) -> None:
    """The bank; where a payer's needs no BIC the message says so, since it must name one."""
    bank = ET.SubElement(ET.SubElement(parent, name), "FinInstnId")
    if account.bic:
        _add(bank, "BICFI", account.bic)
    else:
        _add(ET.SubElement(bank, "Othr"), "Id", "NOTPROVIDED")


def _format(sheet: Sheet, units: int) -> str:
    """The amount with the places of its currency. Raises `Unpayable` where it has more."""
    currency = sheet.statement.currency
    places = _PLACES.get(currency, 2)
    amount, rest = divmod(sheet.get_micros(units), 10 ** (_MICROS_PLACES - places))
    if rest:
        raise Unpayable("AMOUNT_NOT_PAYABLE", currency=currency, micros=sheet.get_micros(units))
    digits = str(amount).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits
