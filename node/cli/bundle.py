"""`commonpoint bundle`: everything that answers a dispute about one order, in one file; and checking such a
file.

`make` reads a data directory or a node and writes the file once it has verified it as a stranger would.
`verify` needs the file and the chain string, and no network. Exit status 0: all of it holds. 1: something in
it does not; which check failed is said. 2: there was nothing to check, or nothing to make a bundle of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.tell import BAD, tell

if TYPE_CHECKING:
    from ledger.genesis import Origin
    from ledger.log.policy import Policy
    from node.bundle.sources import OrderSource

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Everything that answers a dispute about one order, in one file.",
)


@app.command()
def make(
    *,
    sender: Annotated[str, typer.Option(help="The participant that sent the order.")],
    order: Annotated[str, typer.Option(metavar="REF", help="Its reference.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A file that is new.")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="A data directory, in use or not.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of a node.")] = None,
    token: Annotated[
        str | None, typer.Option(help="An auditor's or the sender's, for --url.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The sender's keys, to ask the node for a token with."),
    ] = None,
    chain: Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")] = None,
) -> None:
    """Gather an order: its entries, proofs, consents and the keys behind every signature."""
    if (data is None) == (url is None):
        raise typer.BadParameter("give one of --data DIR and --url URL")
    from node.bundle.file import encode_bundle
    from node.bundle.making import make_bundle
    from node.bundle.verifying import verify_bundle
    from node.keystore import write_private

    opened = (
        _open_directory(data, chain=chain)
        if data is not None
        else _open_url(url or "", token=token, keys=keys, sender=sender, chain=chain)
    )
    with opened as (source, origin):
        made = encode_bundle(make_bundle(source, origin=origin, sender=sender, reference=order))
    verified = verify_bundle(made, chain=origin.chain)
    write_private(output, made)
    tell(f"{output}: {len(made):,} bytes, {_count(verified.entries)} of the order {order} of {sender}.")
    for remark in verified.remarks:
        tell(f"Note: {remark}")
    typer.echo(f"commonpoint bundle verify {output} --chain {origin.chain}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")],
    *,
    chain: Annotated[str, typer.Option(help="The chain string you were told: name/hash.")],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Whose signatures you believe (C2SP tlog-policy).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What it says as one JSON object.")] = False,
) -> None:
    """Check every byte of a bundle, offline, and tell what it says."""
    from ledger.errors import Unverified
    from node.bundle.file import read_bundle_file
    from node.bundle.verifying import verify_bundle
    from node.cli.story import encode_story, print_story

    data = read_bundle_file(file)
    try:
        verified = verify_bundle(data, chain=chain, policy=None if policy is None else _read_policy(policy))
    except Unverified as error:
        _tell_bad(file, error, as_json=as_json)
        raise typer.Exit(BAD) from None
    if as_json:
        typer.echo(encode_story(verified))
    else:
        print_story(verified)


def _read_policy(path: Path) -> Policy:
    """The policy in a file. Raises `Refused` ``POLICY_MALFORMED``."""
    from ledger.log.policy import parse_policy
    from node.audit.sources import SourceUnavailable

    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise SourceUnavailable("POLICY_UNREADABLE", path=str(path), reason=error.strerror) from None


def _tell_bad(file: Path, error: Any, *, as_json: bool) -> None:
    """Which check failed, and on what."""
    facts = {name: str(value) for name, value in sorted(error.facts.items())}
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({"good": False, "check": error.code, "facts": facts}))
        return
    typer.echo(f"BAD   {file}")
    typer.echo(f"      {error.code}")
    for name, value in facts.items():
        typer.echo(f"      {name}: {value}")
    typer.echo("      Nothing in this file is to be believed.")


def _count(entries: list[Any]) -> str:
    return f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'}"


@contextmanager
def _open_directory(data: Path, *, chain: str | None) -> Iterator[tuple[OrderSource, Origin]]:
    """The order's ledger in a data directory."""
    from node.bundle.directory import DirectoryOrders
    from node.config import load_config
    from node.storage.orders import OrderSnapshot
    from node.storage.policies import prove_stored_policies

    config = load_config(data)
    _check_chain(config.origin, chain)
    with OrderSnapshot(config.database) as snapshot:
        note = snapshot.read_checkpoint()
        policies = prove_stored_policies(snapshot, config.origin, data)
        yield DirectoryOrders(snapshot, origin=config.origin, note=note, policies=policies), config.origin


@contextmanager
def _open_url(
    url: str, *, token: str | None, keys: Path | None, sender: str, chain: str | None
) -> Iterator[tuple[OrderSource, Origin]]:
    """The order's ledger at a node."""
    from node.bundle.served import ServedOrders
    from node.remote.admission import open_connection
    from node.remote.chain import read_origin
    from node.remote.policies import RemotePolicies

    with open_connection(url, token=token, keys=keys, participant=sender, chain=chain) as connection:
        origin, _ = read_origin(connection, pinned=chain)
        note = (connection.get_file("checkpoint") or b"").decode("utf-8", "replace")
        policies = RemotePolicies(connection, origin)
        policies.verify(note)
        yield ServedOrders(connection, origin=origin, note=note, policies=policies.chain), origin


def _check_chain(origin: Origin, chain: str | None) -> None:
    from ledger.errors import Unverified

    if chain is not None and origin.chain != chain:
        raise Unverified("WRONG_CHAIN", expected=chain, found=origin.chain)
