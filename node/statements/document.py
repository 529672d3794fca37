"""A statement as a PDF, set by Typst: the same bytes on every machine that has the same statement and extra.

The date in the file is that of the cut, the fonts come with the extra and never from the machine, and nothing
is fetched. What came from the ledger is handed over as data, so none of it is ever read as markup.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from node.statements.extras import find_font_folder, load
from node.statements.paper import Paper
from node.statements.wording import get_word

_MILLIS_PER_SECOND: Final = 1_000
_SOURCE: Final = r"""
#let paper = json(bytes(sys.inputs.paper))
#let ink = rgb("#1b1f24")
#let soft = rgb("#5b6672")
#let line-colour = rgb("#d5dbe1")
#let mark = rgb("#0b5d4e")
#let is-zh = paper.language == "zh"
#let sans = ("Noto Sans CJK TC",)
#set document(title: paper.title + " · " + paper.subtitle, date: auto)
#set page(
  paper: "a4",
  margin: (x: 16mm, top: 18mm, bottom: 18mm),
  footer: context [
    #set text(7.5pt, fill: soft)
    #paper.title
    #h(1fr)
    #counter(page).display("1 / 1", both: true)
  ],
)
#set text(font: sans, size: 9pt, fill: ink, lang: paper.language, region: if is-zh { "cn" } else { "us" })
#set par(leading: 0.6em)
#let code(body) = text(font: ("DejaVu Sans Mono", "Noto Sans CJK TC"), size: 0.82em, body)
#let breakable(body) = body.clusters().join("\u{200b}")
#text(18pt)[#paper.title]
#v(-4pt)
#text(10.5pt, fill: soft)[#paper.subtitle]
#v(4pt)
#grid(
  columns: paper.headline.len() * (auto,),
  column-gutter: 8pt,
  ..paper.headline.map(fact => block(
    fill: rgb("#f4f6f8"), stroke: (left: 3pt + mark), inset: (x: 10pt, y: 8pt),
  )[
    #text(8pt, fill: soft)[#fact.label] \
    #text(14pt)[#fact.value]
  ]),
)
#v(4pt)
#grid(
  columns: (auto, 1fr),
  column-gutter: 14pt,
  row-gutter: 5pt,
  ..paper.facts.map(fact => (
    text(fill: soft)[#fact.label],
    if fact.is_code { code(breakable(fact.value)) } else { fact.value },
  )).flatten(),
)
#for each in paper.tables {
  v(8pt)
  block(sticky: true, below: 8pt, text(11.5pt)[#each.title])
  if each.rows.len() == 0 {
    text(8pt, fill: soft)[#paper.nothing]
  } else {
    block(sticky: true, above: 8pt, below: 5pt, text(8pt, fill: soft)[#each.note])
    table(
      columns: each.columns.map(column => if column.is_number { auto } else { 1fr }),
      align: each.columns.map(column => if column.is_number { right } else { left }),
      stroke: (x, y) => (bottom: if y == 0 { 0.8pt + ink } else { 0.4pt + line-colour }),
      inset: (x: 4pt, y: 4pt),
      table.header(..each.columns.map(column => text(8.5pt, fill: soft)[#column.title])),
      ..each.rows.flatten().map(cell => [#cell]),
      ..if each.sums.len() > 0 {
        each.sums.map(cell => table.cell(stroke: (top: 0.8pt + ink, bottom: 0pt))[#cell])
      },
    )
  }
}
#v(1fr)
#line(length: 100%, stroke: 0.4pt + line-colour)
#text(7.5pt, fill: soft)[#paper.closing #h(4pt) #code(paper.command)]
"""


def make_pdf(paper: Paper, *, closed_at: int) -> bytes:
    """The document's bytes. Raises `Unusable` ``EXTRA_MISSING``."""
    typst: Any = load("typst")
    told = msgspec.json.encode(
        {
            **{
                name: getattr(paper, name) for name in ("language", "title", "subtitle", "closing", "command")
            },
            "headline": [each._asdict() for each in paper.headline],
            "facts": [each._asdict() for each in paper.facts],
            "tables": [
                {**each._asdict(), "columns": [column._asdict() for column in each.columns]}
                for each in paper.tables
            ],
            "nothing": get_word("none", paper.language),
        }
    )
    made: bytes = typst.compile(
        _SOURCE.encode(),
        font_paths=[str(find_font_folder())],
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"paper": told.decode()},
        timestamp=closed_at // _MILLIS_PER_SECOND,
    )
    return made
