"""A QR code to show on a screen or print on a slip, in the mode that packs its text most tightly.

Texts made for a QR use the 45 characters of alphanumeric mode only (base45). What does not fit into one code,
or would come out in another mode, is refused: a symbol that no scanner gives back as the same text is worse
than none.
"""

from __future__ import annotations

import io
from typing import Final, Literal

from merchant_sdk.base45 import ALPHABET
from merchant_sdk.errors import InvalidRequest

Level = Literal["L", "M", "Q", "H"]
"""How much of the symbol may be unreadable: 7, 15, 25 or 30 %."""
BORDER: Final = 4
"""The quiet zone that scanners need, in modules."""


class QR:
    """A QR code of one text."""

    def __init__(self, text: str, *, level: Level = "M", version_max: int = 40) -> None:
        # Drawing is rare, and tills that only scan need none of it.
        import segno  # noqa: PLC0415
        from segno.encoder import DataOverflowError  # noqa: PLC0415

        if not text or not set(text) <= set(ALPHABET):
            raise InvalidRequest("a QR of ours holds upper case letters, digits and ' $%*+-./:' only")
        facts = {"characters": len(text), "level": level, "version_max": version_max}
        try:
            self._symbol = segno.make_qr(text, error=level, mode="alphanumeric", boost_error=True)
        except DataOverflowError:
            raise InvalidRequest("this text is too long for one QR code", **facts) from None
        self.text = text
        self.version = int(self._symbol.version)
        """1 to 40; the symbol has 17 + 4 x version modules a side."""
        if self.version > version_max:
            raise InvalidRequest(
                "this text makes too dense a QR code to be scanned", version=self.version, **facts
            )

    @property
    def level(self) -> str:
        """The level it came out with: as high as fits the same size, at least the one asked for."""
        return str(self._symbol.error)

    @property
    def modules(self) -> tuple[tuple[bool, ...], ...]:
        """The symbol itself, row by row, dark is true, without the quiet zone."""
        return tuple(tuple(bool(module) for module in row) for row in self._symbol.matrix)

    def svg(self, *, scale: int = 4) -> str:
        """An SVG image that goes into a page as it is."""
        return str(self._symbol.svg_inline(scale=scale, border=BORDER))

    def png(self, *, scale: int = 4) -> bytes:
        """A PNG image, so many pixels a module."""
        out = io.BytesIO()
        self._symbol.save(out, kind="png", scale=scale, border=BORDER)
        return out.getvalue()

    def terminal(self) -> str:
        """Text for a terminal with dark letters on light ground or the other way round, in half blocks."""
        out = io.StringIO()
        self._symbol.terminal(out, border=BORDER, compact=True)
        return out.getvalue()

    def __str__(self) -> str:
        return self.terminal()
