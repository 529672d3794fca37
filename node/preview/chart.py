"""A preview as a picture: one self-contained SVG, or a page that holds it, with nothing to load.

Each panel is one measure, each bar a participant's difference, to the right where it would have been more.
All bars of a panel share its scale; what nobody's difference touches has no panel. Below stand the outcomes
that flip. The words are English or Chinese; names, codes and numbers are the ledger's.
"""

from __future__ import annotations

from html import escape
from typing import Final

from node.preview.report import Impact, Preview
from node.preview.words import tell_action, tell_money

_WIDTH: Final = 960
_MARGIN: Final = 32
_LABEL: Final = 190
"""Room for names left of the bars."""
_AMOUNT: Final = 170
"""Room for amounts beside them."""
_ROW: Final = 26
_BAR: Final = 14
_FLIPS_SHOWN: Final = 12
_ACTION_CHARACTERS_MAX: Final = 110
_MEASURES: Final = (
    "position_micros",
    "fees_micros",
    "liability_micros",
    "issued",
    "redeemed_home",
    "redeemed_elsewhere",
    "exchanged_in",
    "exchanged_out",
    "expired",
)
_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Impact preview",
        "chain": "Ledger",
        "heights": "Heights",
        "compared": "outcomes compared",
        "verified": "verified against the log",
        "none": "No difference anywhere.",
        "failed": "It could not be enacted",
        "flips": "Outcomes that flip",
        "position_micros": "Net position, money",
        "fees_micros": "Fees, money (the operator's, or paid to it)",
        "liability_micros": "Liability at the end, money",
        "issued": "Points issued",
        "redeemed_home": "Points redeemed at home",
        "redeemed_elsewhere": "Points redeemed elsewhere",
        "exchanged_in": "Points exchanged in",
        "exchanged_out": "Points exchanged out",
        "expired": "Points expired",
    },
    "zh": {
        "title": "影响预演",
        "chain": "账本",
        "heights": "区块高度",
        "compared": "项结果已比对",
        "verified": "已与日志逐字节核对",
        "none": "没有任何差异。",
        "failed": "该提案无法生效",
        "flips": "结果发生变化的操作",
        "position_micros": "净头寸（金额）",
        "fees_micros": "手续费（金额；运营方收取，或向其支付）",
        "liability_micros": "期末负债（金额）",
        "issued": "发放积分",
        "redeemed_home": "本店核销积分",
        "redeemed_elsewhere": "他店核销积分",
        "exchanged_in": "兑入积分",
        "exchanged_out": "兑出积分",
        "expired": "过期积分",
    },
}
_STYLE: Final = (
    "text{font:13px system-ui,'Noto Sans','Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;"
    "fill:#1f2933}.t{font-size:22px;font-weight:600}.h{font-size:15px;font-weight:600}.s{fill:#52606d}"
    ".n{font-variant-numeric:tabular-nums}"
)


def draw_chart(preview: Preview, *, language: str, is_page: bool = False) -> str:
    """The picture as SVG, or as an HTML page around it."""
    svg = _Drawing(_WORDS[language]).draw(preview)
    if not is_page:
        return svg
    title = escape(_WORDS[language]["title"])
    tag = "zh-Hans" if language == "zh" else "en"
    return (
        f'<!doctype html>\n<html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>'
        "<style>body{margin:0;background:#fff}svg{display:block;margin:0 auto;max-width:100%;height:auto}"
        f"</style></head><body>\n{svg}</body></html>\n"
    )


class _Drawing:
    """Parts, from the top down."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self._parts: list[str] = []
        self._y = _MARGIN + 16

    def draw(self, preview: Preview) -> str:
        words = self._words
        self._text(words["title"], style="t", step=28)
        for number, action in enumerate(preview.actions, start=1):
            told = tell_action(action).partition("\n")[0]
            if len(told) > _ACTION_CHARACTERS_MAX:
                told = told[: _ACTION_CHARACTERS_MAX - 1] + "…"
            self._text(f"{number}. {told}", step=20)
        self._text(
            f"{words['chain']} {preview.chain} · {words['heights']} {preview.first_height:,}–"
            f"{preview.last_height:,} · {preview.compared:,} {words['compared']} · {words['verified']}",
            style="s",
            step=20,
        )
        if not preview.is_enacted:
            self._text(f"{words['failed']}: {preview.enactment}", style="h", step=24)
        for measure in _MEASURES:
            self._draw_panel(measure, preview.impacts)
        self._draw_flips(preview)
        if preview.changes_nothing:
            self._y += 12
            self._text(words["none"], style="h", step=24)
        height = self._y + _MARGIN - 12
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" role="img" aria-label="{escape(words["title"])}">\n<style>{_STYLE}</style>\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )

    def _draw_panel(self, measure: str, impacts: list[Impact]) -> None:
        """One measure: who would have had more, and who less."""
        rows = [(each.participant, getattr(each.difference, measure)) for each in impacts]
        rows = [row for row in rows if row[1]]
        if not rows:
            return
        self._y += 32
        self._text(self._words[measure], style="h", step=12)
        top = self._y
        greatest = max(abs(amount) for _, amount in rows)
        half = (_WIDTH - 2 * _MARGIN - _LABEL - 2 * _AMOUNT) // 2
        middle = _MARGIN + _LABEL + _AMOUNT + half
        for name, amount in rows:
            length = max(1, half * abs(amount) // greatest)
            is_more = amount > 0
            begin, colour = (middle, "#2b6cb0") if is_more else (middle - length, "#c05621")
            base = self._y + 17
            self._parts.append(f'<text x="{_MARGIN}" y="{base}">{escape(_cut(name))}</text>')
            self._parts.append(
                f'<rect x="{begin}" y="{base - _BAR + 2}" width="{length}" height="{_BAR}" fill="{colour}"/>'
            )
            told = tell_money(amount) if measure.endswith("_micros") else f"{amount:,}"
            place, anchor = (middle + length + 8, "start") if is_more else (middle - length - 8, "end")
            sign = "+" if is_more else ""
            self._parts.append(
                f'<text class="n" x="{place}" y="{base}" text-anchor="{anchor}">{sign}{told}</text>'
            )
            self._y += _ROW
        self._parts.append(f'<line x1="{middle}" x2="{middle}" y1="{top}" y2="{self._y}" stroke="#9aa5b1"/>')

    def _draw_flips(self, preview: Preview) -> None:
        if not preview.flips:
            return
        self._y += 36
        self._text(f"{self._words['flips']}: {preview.flipped:,}", style="h", step=22)
        for group in preview.flips[:_FLIPS_SHOWN]:
            self._text(f"{group.count:,} × {group.type}: {group.before} → {group.after}", style="n", step=20)
        if len(preview.flips) > _FLIPS_SHOWN:
            self._text("…", step=20)

    def _text(self, text: str, *, step: int, style: str = "") -> None:
        name = f' class="{style}"' if style else ""
        self._parts.append(f'<text{name} x="{_MARGIN}" y="{self._y}">{escape(text)}</text>')
        self._y += step


def _cut(name: str) -> str:
    """A name that fits left of the bars; the table has it whole."""
    return name if len(name) <= 26 else f"{name[:25]}…"
