"""A statement as one HTML page: everything in one file, nothing fetched, fit to be printed.

Whatever came from the ledger is text and stays text: it is escaped wherever it stands. There is no script in
the page, and it says so to the browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from node.statements.paper import Paper
from node.statements.tables import Column, Table
from node.statements.wording import get_word

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
:root { --ink: #1b1f24; --soft: #5b6672; --rule: #d5dbe1; --tint: #f4f6f8; --mark: #0b5d4e; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; font-weight: 600; }
.subtitle { margin: .2rem 0 1.2rem; color: var(--soft); }
.headline { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0 0 1.4rem; }
.headline div { padding: .8rem 1.1rem; background: var(--tint); border-left: 4px solid var(--mark); }
.headline dt { color: var(--soft); font-size: .85rem; }
.headline dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0 0 1.8rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .1rem; font-size: 1.1rem; font-weight: 600; }
.note { margin: 0 0 .6rem; color: var(--soft); font-size: .88rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th, td { padding: .38rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { border-bottom: 2px solid var(--ink); font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .82em; }
tfoot td { border-top: 2px solid var(--ink); border-bottom: 0; font-weight: 600; }
footer { margin-top: 2.5rem; padding-top: .8rem; border-top: 1px solid var(--rule); color: var(--soft); }
footer code { display: block; margin-top: .3rem; color: var(--ink); overflow-wrap: anywhere; }
@media print {
  @page { margin: 16mm 14mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; }
  .wide { overflow: visible; }
}
""".strip()


def format_page(paper: Paper) -> str:
    """The page."""
    language = {"zh": "zh-CN", "en": "en"}[paper.language]
    headline = "".join(
        f"<div><dt>{escape(each.label)}</dt><dd>{escape(each.value)}</dd></div>" for each in paper.headline
    )
    facts = "".join(
        f"<dt>{escape(each.label)}</dt><dd{_class('', 'code' if each.is_code else '')}>"
        f"{escape(each.value)}</dd>"
        for each in paper.facts
    )
    tables = "\n".join(_format_table(each, get_word("none", paper.language)) for each in paper.tables)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(paper.title)} · {escape(paper.subtitle)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<h1>{escape(paper.title)}</h1>
<p class="subtitle">{escape(paper.subtitle)}</p>
<dl class="headline">{headline}</dl>
<dl class="facts">{facts}</dl>
{tables}
<footer>{escape(paper.closing)}<code class="code">{escape(paper.command)}</code></footer>
</body>
</html>
"""


def _format_table(table: Table, nothing: str) -> str:
    heads = "".join(f"<th{_style(each)}>{escape(each.title)}</th>" for each in table.columns)
    if not table.rows:
        return f'<h2>{escape(table.title)}</h2>\n<p class="note">{escape(nothing)}</p>'
    rows = "\n".join(_format_row(table, row) for row in table.rows)
    foot = f"\n<tfoot>{_format_row(table, table.sums)}</tfoot>" if table.sums else ""
    return f"""<h2>{escape(table.title)}</h2>
<p class="note">{escape(table.note)}</p>
<div class="wide"><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>{foot}
</table></div>"""


def _format_row(table: Table, row: Sequence[str]) -> str:
    told = "".join(
        f"<td{_style(column)}>{escape(cell)}</td>" for column, cell in zip(table.columns, row, strict=True)
    )
    return f"<tr>{told}</tr>"


def _style(column: Column) -> str:
    return _class("number" if column.is_number else "", "code" if column.is_code else "")


def _class(*names: str) -> str:
    said = " ".join(filter(None, names))
    return f' class="{said}"' if said else ""
