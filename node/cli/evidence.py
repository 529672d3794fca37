"""`commonpoint evidence`: what a file of evidence shows, and against which key, checked offline.

Exit status 0: it is proven. 1: the file is in order and proves nothing, or something in it is not what it has
to be. 2: it could not be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from node.cli.tell import BAD, GOOD, tell

if TYPE_CHECKING:
    from ledger.errors import Unverified
    from ledger.evidence import Finding

_WORDS: Final = {
    "TWO_ROOTS": (
        "Two checkpoints of {larger_size} leaves are signed, and they have different roots.\n"
        "There is one log of that size: whoever was shown the one was shown another history than whoever "
        "was shown the other."
    ),
    "PREFIX_DIFFERS": (
        "A checkpoint of {smaller_size} leaves and one of {larger_size} are signed, and the larger tree "
        "begins with other leaves than the smaller one has.\n"
        "Something that was in the log was changed or taken out afterwards, or two histories are shown."
    ),
    "GENESIS_REPLACED": (
        "The checkpoint of {larger_size} leaves is signed, and its tree does not begin with the genesis."
    ),
    "NEVER_TAKEN": (
        "It was promised that transaction {id} of {sender} is in the log by {by}. At block time {time}, with "
        "{size} leaves, the log's own key states that it is not.\n"
        "This does not say why; where the sender's key was revoked in between, the registry shows it."
    ),
    "TAKEN_LATE": (
        "It was promised that transaction {id} of {sender} is in the log by {by}. The block that took it is "
        "of {time}."
    ),
    "SAME_TREE": "Both checkpoints have the same size and root: they agree.",
    "CONSISTENT": "The larger tree begins with the smaller one: the two checkpoints agree.",
    "PROOF_INCONCLUSIVE": (
        "Both checkpoints are signed. What the file holds does not show whether the tree of {larger_size} "
        "leaves begins with that of {smaller_size}: a proof that fails proves nothing.\n"
        "Ask the node for /v1/consistency between the two sizes, and other nodes for their checkpoints."
    ),
    "KEPT": "The promise was for {by}; what stands beside it is of {time}, which breaks nothing.",
}


def evidence(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The evidence.")],
    *,
    chain: Annotated[
        str | None, typer.Option(help="The chain string you were told: name/hash; without it the file's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What it shows as one JSON object.")] = False,
) -> None:
    """Check a file of evidence, offline, and say what it proves and against whom."""
    from ledger.errors import Unverified
    from ledger.evidence import judge_evidence, read_evidence

    found = read_evidence(_read(file))
    try:
        finding = judge_evidence(found, chain=chain or found.chain)
    except Unverified as error:
        _tell_bad(file, error, as_json=as_json)
        raise typer.Exit(BAD) from None
    if as_json:
        typer.echo(_encode(finding))
    else:
        _tell_finding(finding)
    if chain is None:
        tell("The chain string above is the file's own word. Pin the one your alliance gave you: --chain.")
    raise typer.Exit(GOOD if finding.is_proven else BAD)


def _read(path: Path) -> bytes:
    from ledger.evidence import EVIDENCE_BYTES_MAX
    from node.audit.sources import SourceUnavailable

    try:
        with path.open("rb") as file:
            data = file.read(EVIDENCE_BYTES_MAX + 1)
    except OSError as error:
        raise SourceUnavailable("EVIDENCE_UNREADABLE", path=str(path), reason=error.strerror) from None
    if len(data) > EVIDENCE_BYTES_MAX:
        raise SourceUnavailable("EVIDENCE_UNREADABLE", path=str(path), reason="larger than any evidence")
    return data


def _tell_finding(finding: Finding) -> None:
    from ledger.log.note import encode_vkey

    typer.echo(f"{'PROVEN' if finding.is_proven else 'NOT PROVEN'}  {finding.chain}  {finding.code}")
    for line in _WORDS[finding.code].format(**_write_times(finding.facts)).split("\n"):
        typer.echo(f"  {line}")
    if not finding.is_proven:
        return
    told = "One of these keys signed what is false:" if finding.is_one_of else "Against whoever holds:"
    typer.echo(f"  {told}")
    for key in finding.against:
        typer.echo(f"    {encode_vkey(key)}")


def _write_times(facts: dict[str, int | str]) -> dict[str, int | str]:
    """The facts with times as people write them."""
    import datetime as dt

    told = dict(facts)
    for name in ("by", "time"):
        value = told.get(name)
        if isinstance(value, int):
            whole, millis = divmod(value, 1000)
            moment = dt.datetime.fromtimestamp(whole, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
            told[name] = f"{moment}.{millis:03d} UTC"
    return told


def _encode(finding: Finding) -> bytes:
    import msgspec

    from ledger.log.note import encode_vkey

    told = {
        "against": [encode_vkey(key) for key in finding.against] if finding.is_proven else [],
        "chain": finding.chain,
        "code": finding.code,
        "facts": finding.facts,
        "kind": finding.kind,
        "one_of": finding.is_one_of,
        "proven": finding.is_proven,
    }
    return msgspec.json.encode(told)


def _tell_bad(file: Path, error: Unverified, *, as_json: bool) -> None:
    facts = {name: str(value) for name, value in sorted(error.facts.items())}
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({"check": error.code, "facts": facts, "proven": False}))
        return
    typer.echo(f"BAD   {file}")
    typer.echo(f"      {error.code}")
    for name, value in facts.items():
        typer.echo(f"      {name}: {value}")
    typer.echo("      Nothing in this file is to be believed.")
