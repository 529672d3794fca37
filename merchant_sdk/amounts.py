"""Money goes in as people write it, "12.34", and is kept as whole micro-units of the settlement currency.

A float cannot hold 0.1 and is refused; so is a bare integer, since nobody can tell 12 yuan from 12 micros.
Say ``"12"``, ``Decimal("12")`` or ``Micros(12_000_000)``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ledger.values import AMOUNT_MAX
from merchant_sdk.errors import InvalidRequest

_MICROS_PER_UNIT: Final = 1_000_000
_DIGITS: Final = 6
_AMOUNT: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,6}))?")


class Micros(int):
    """An amount in whole micro-units, said to be one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Micros({int(self)})"


Amount = str | Decimal | Micros


def get_micros(amount: Amount) -> int:
    """The amount in micro-units. Raises `InvalidRequest` where it is not exactly one."""
    given: object = amount
    if isinstance(given, Micros):
        micros = int(given)
    elif isinstance(given, str):
        micros = _read_text(given)
    elif isinstance(given, Decimal) and given.is_finite():
        micros = _read_text(_write_plainly(given))
    else:
        kind = type(given).__name__
        raise InvalidRequest(
            f"an amount is a str, a Decimal or Micros, not {kind}: a float is never exact, "
            "and a bare int does not say whether it counts units or micros",
            amount=amount,
        )
    if not 0 <= micros <= AMOUNT_MAX:
        raise InvalidRequest("an amount lies between 0 and 1000000000 units", amount=str(amount))
    return micros


def format_micros(micros: int) -> str:
    """The amount as people write it, with as many decimals as it needs and two at the least."""
    sign = "-" if micros < 0 else ""
    units, rest = divmod(abs(micros), _MICROS_PER_UNIT)
    return f"{sign}{units}.{f'{rest:0{_DIGITS}d}'.rstrip('0').ljust(2, '0')}"


def _write_plainly(amount: Decimal) -> str:
    """The number without an exponent and without zeros at its end, however it was worked out."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_text(text: str) -> int:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            'an amount reads like "12.34": digits, at most six of them after a point', amount=text
        )
    return int(found[1]) * _MICROS_PER_UNIT + int((found[2] or "").ljust(_DIGITS, "0"))
