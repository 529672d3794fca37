"""`commonpoint proposal`: what an alliance decides, from the first look at it to the last vote.

`new`, `vote` and `cancel` sign with a participant's govern key, and say before what they sign; `show` signs
nothing. Before anybody votes, `preview` shows what a proposal would have changed (`node.cli.preview`).
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import preview
from node.cli.tell import tell

if TYPE_CHECKING:
    from node.cli.proposing import Show

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Proposals: made, shown, voted on, previewed."
)

app.command("preview")(preview.preview)

_MILLIS_PER_DAY: Final = 86_400_000
_SLACK_HEIGHTS: Final = (1, 20, 400)
"""How many heights may pass before the proposal is taken: few on a quiet ledger, many on a busy one."""

Url = Annotated[str, typer.Option(help="The address of a node.", envvar="COMMONPOINT_URL")]
Keys = Annotated[Path, typer.Option(metavar="FOLDER", help="The participant's keys: govern signs.")]
Whose = Annotated[
    str | None, typer.Option("--participant", help="Whose keys; else as participant.json beside them says.")
]
Chain = Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
Which = Annotated[str, typer.Argument(metavar="ID", help="The proposal's name.")]


@app.command()
def new(
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Actions, as JSON or (in .toml) TOML.")
    ] = None,
    url: Url,
    keys: Keys,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter and its new value.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The proposal's name; else one is made.")] = None,
    days: Annotated[int, typer.Option(help="For how long it can be voted on.", min=1, max=365)] = 7,
    height: Annotated[
        int | None, typer.Option(help="Not enacted before; else as soon as the notice allows.", min=1)
    ] = None,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Propose actions to the alliance, and print the proposal's name."""
    from contracts.messages import Propose
    from node.cli.proposing import TurnedDown, compute_notice, open_table
    from node.preview.words import tell_action

    actions = preview.read_actions(file, settings or [])
    name = f"p-{secrets.token_hex(6)}" if name is None else name
    with open_table(url, keys=keys, participant=participant, token=None, chain=chain) as table:
        for number, action in enumerate(actions, start=1):
            tell(f"{number}. {tell_action(action)}")
        for attempt, slack in enumerate(_SLACK_HEIGHTS, start=1):
            government = table.read_government()
            earliest = government["height"] + compute_notice(government, actions) + slack
            message = Propose(
                actions=actions,
                configuration=government["configuration"],
                effective_height=earliest if height is None else height,
                expires=table.now + days * _MILLIS_PER_DAY,
                proposal=name,
            )
            try:
                table.send(message, show=_asker(is_sure=yes or attempt > 1))
                break
            except TurnedDown as error:
                # Heights went by meanwhile; the name is still free.
                if error.code != "NOTICE_TOO_SHORT" or height is not None or slack == _SLACK_HEIGHTS[-1]:
                    raise
    typer.echo(name)


@app.command()
def show(
    *,
    proposal: Annotated[str | None, typer.Argument(metavar="[ID]", help="One; else all the newest.")] = None,
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
    """Print proposals: what they would do, who is for them, what is missing."""
    from node.cli.proposal_words import tell_government, tell_proposal
    from node.cli.proposing import open_table

    with open_table(url, keys=keys, participant=participant, token=token, chain=chain) as table:
        found = table.list_proposals() if proposal is None else [table.read_proposal(proposal)]
        if as_json:
            _echo_json(found if proposal is None else found[0])
            return
        government = table.read_government()
        if proposal is None:
            typer.echo(tell_government(government))
        for each in found:
            typer.echo()
            typer.echo(tell_proposal(each, government, utc_offset_minutes=table.utc_offset_minutes))


@app.command()
def vote(
    proposal: Which,
    choice: Annotated[str, typer.Argument(metavar="yes|no", help="For it, or against it.")],
    *,
    url: Url,
    keys: Keys,
    participant: Whose = None,
    chain: Chain = None,
    yes: Yes = False,
) -> None:
    """Cast the participant's ballot: one, and final."""
    from contracts.messages import Vote
    from node.cli.proposal_words import tell_proposal
    from node.cli.proposing import open_table

    if choice not in ("yes", "no"):
        raise typer.BadParameter("say yes or no", param_hint="yes|no")
    with open_table(url, keys=keys, participant=participant, token=None, chain=chain) as table:
        found, government = table.read_proposal(proposal), table.read_government()
        table.prove(found)
        tell(tell_proposal(found, government, utc_offset_minutes=table.utc_offset_minutes))
        message = Vote(
            choice="yes" if choice == "yes" else "no", configuration=found["configuration"], proposal=proposal
        )
        outcome = table.send(message, show=_asker(is_sure=yes))
        _tell_events(outcome)
        tell(f"{table.participant} has voted {choice}.")


@app.command()
def cancel(
    proposal: Which, *, url: Url, keys: Keys, participant: Whose = None, chain: Chain = None, yes: Yes = False
) -> None:
    """Take back a proposal of one's own, while it is open."""
    from contracts.messages import CancelProposal
    from node.cli.proposing import open_table

    with open_table(url, keys=keys, participant=participant, token=None, chain=chain) as table:
        table.send(CancelProposal(proposal), show=_asker(is_sure=yes))
    tell(f"{proposal} is cancelled.")


def _asker(*, is_sure: bool) -> Show:
    """Shows what is about to be signed, and asks unless somebody is sure."""

    def show(chain: str, sender: str, key: str, message: bytes) -> None:
        tell(f"signed with {key} of {sender}, for {chain}:")
        tell(message.decode())
        if not is_sure:
            typer.confirm("Sign and send this?", abort=True, err=True)

    return show


def _tell_events(outcome: Any) -> None:
    for event in outcome.events or ():
        if event.name == "PROPOSAL_PASSED":
            tell(f"It has passed, and is enacted at height {event.at:,}.")


def _echo_json(told: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(told))
