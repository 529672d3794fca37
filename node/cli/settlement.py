"""`commonpoint settlement`: windows cut, stated, signed, disputed and paid.

`cut`, `sign`, `dispute` and `attest` sign with a participant's govern key, and say before what they sign;
`show` signs nothing, and `statement` needs no node (`node.cli.statement`). Exit status 0: done. 1: what was
to be signed does not hold, so it was not. 2: it could not be done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import statement
from node.cli.statement import Chain, judged, recompute_from
from node.cli.tell import tell

if TYPE_CHECKING:
    from node.cli.settling import Show

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Windows of settlement: cut, stated, signed, disputed, paid.",
)
app.command("statement")(statement.statement)

_SLACK_HEIGHTS: Final = 3
"""Blocks that may come before the message is taken."""

Url = Annotated[str, typer.Option(help="The address of a node.", envvar="COMMONPOINT_URL")]
Keys = Annotated[Path, typer.Option(metavar="FOLDER", help="The participant's keys: govern signs.")]
Whose = Annotated[
    str | None, typer.Option("--participant", help="Whose keys; else as participant.json beside them says.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
Window = Annotated[int, typer.Argument(metavar="WINDOW", help="The window's number.", min=1)]
Mirror = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Recompute it from this data directory or mirror before signing."
    ),
]


@app.command()
def show(
    *,
    window: Annotated[
        int | None, typer.Argument(metavar="[WINDOW]", help="One; else the newest.", min=1)
    ] = None,
    url: Url,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A participant's keys, to read with.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Or a token that may read.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    participant: Whose = None,
    chain: Chain = None,
    as_json: Annotated[bool, typer.Option("--json", help="As the node tells it.")] = False,
) -> None:
    """Print windows as the node has them: until when they wait, who has signed, what was paid."""
    from node.cli.settling import open_desk
    from node.cli.window_tables import print_window, print_windows

    with open_desk(url, keys=keys, participant=participant, token=token, chain=chain) as desk:
        told = desk.list_windows() if window is None else desk.read_window(window)
        offset = desk.origin.settings.utc_offset_minutes
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(told))
    elif window is None:
        print_windows(told, utc_offset_minutes=offset)
    else:
        print_window(told, utc_offset_minutes=offset)


@app.command()
def cut(
    *,
    url: Url,
    keys: Keys,
    height: Annotated[
        int | None, typer.Option(help="The window ends before it; else a few blocks from now.", min=1)
    ] = None,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Name the height before which the open window ends. The operator's to say."""
    from contracts.messages import CutWindow
    from node.cli.settling import open_desk

    with open_desk(url, keys=keys, participant=participant, chain=chain) as desk:
        at = desk.read_height() + _SLACK_HEIGHTS if height is None else height
        desk.send(CutWindow(at), show=_asker(is_sure=yes))
    tell(f"The open window ends before height {at:,}.")


@app.command()
def sign(
    window: Window,
    *,
    url: Url,
    keys: Keys,
    data: Mirror = None,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Agree with a window's statement, after working it out again."""
    _countersign(window, None, url=url, keys=keys, data=data, whose=participant, chain=chain, yes=yes)


@app.command()
def dispute(
    window: Window,
    *,
    lines: Annotated[list[int], typer.Option("--line", metavar="N", help="A line's number.", min=0)],
    url: Url,
    keys: Keys,
    data: Mirror = None,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Dispute lines of a window's statement in which the participant stands."""
    _countersign(window, lines, url=url, keys=keys, data=data, whose=participant, chain=chain, yes=yes)


def _countersign(
    window: int,
    lines: list[int] | None,
    *,
    url: str,
    keys: Path,
    data: Path | None,
    whose: str | None,
    chain: str | None,
    yes: bool,
) -> None:
    from msgspec import UNSET

    from contracts.messages import Countersign
    from node.cli.settling import check_lines, compare_hash, open_desk
    from node.cli.window_tables import tell_side

    with open_desk(url, keys=keys, participant=whose, chain=chain) as desk, judged():
        if data is None:
            found, digest = desk.read_statement(window)
            tell("Worked out again from its own lines. With --data DIR, the lines come from the log as well.")
        else:
            recomputed = recompute_from(
                data, window=window, participant=None, with_orders=False, chain=desk.origin.chain
            )
            found, digest = recomputed.window.statement, recomputed.window.digest
        compare_hash(desk, window, digest)
        disputed = UNSET if lines is None else check_lines(found, lines, desk.participant)
        tell_side(found, digest, desk.participant or "", lines=lines or ())
        message = Countersign(
            lines=disputed,
            statement=digest,
            verdict="agree" if lines is None else "dispute",
            window=window,
        )
        outcome = desk.send(message, show=_asker(is_sure=yes))
    tell(f"{desk.participant} {'agrees with' if lines is None else 'disputes'} window {window}.")
    _tell_events(outcome)


@app.command()
def attest(
    window: Window,
    transfer: Annotated[int, typer.Argument(metavar="TRANSFER", help="The payment's number.", min=0)],
    *,
    reference: Annotated[str, typer.Option(metavar="REF", help="The bank's reference of the payment.")],
    url: Url,
    keys: Keys,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Say that a payment was made, or has arrived, with the bank's reference."""
    from contracts.messages import AttestPayment
    from node.cli.settling import compare_hash, find_transfer, open_desk
    from node.cli.window_tables import tell_transfer

    with open_desk(url, keys=keys, participant=participant, chain=chain) as desk, judged():
        found, digest = desk.read_statement(window)
        compare_hash(desk, window, digest)
        tell_transfer(found, find_transfer(found, transfer, desk.participant), transfer)
        message = AttestPayment(bank_reference=reference, transfer=transfer, window=window)
        outcome = desk.send(message, show=_asker(is_sure=yes))
    tell(f"{desk.participant} has attested payment {transfer} of window {window}.")
    _tell_events(outcome)


def _asker(*, is_sure: bool) -> Show:
    """Shows what is about to be signed, and asks unless somebody is sure."""

    def show(chain: str, sender: str, key: str, message: bytes) -> None:
        tell(f"signed with {key} of {sender}, for {chain}:")
        tell(message.decode())
        if not is_sure:
            typer.confirm("Sign and send this?", abort=True, err=True)

    return show


def _tell_events(outcome: Any) -> None:
    words = {"WINDOW_CONFIRMED": "is confirmed: its payments are due", "WINDOW_SETTLED": "is settled"}
    for event in outcome.events or ():
        if event.name in words:
            tell(f"Window {event.about} {words[event.name]}.")
