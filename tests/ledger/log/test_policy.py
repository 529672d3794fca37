"""A policy file is read whole or not at all, and a checkpoint is believed exactly as it says."""

from __future__ import annotations

import itertools

import pytest

from ledger.errors import Refused, Unverified
from ledger.keys import SeedSigner
from ledger.log.merkle import EMPTY_ROOT
from ledger.log.note import (
    COSIGNATURE_V1,
    ED25519,
    Checkpoint,
    VerifierKey,
    add_signature_lines,
    cosign,
    encode_vkey,
    sign_checkpoint,
    split_note,
)
from ledger.log.policy import Group, Log, Policy, Witness, format_policy, parse_policy, verify_checkpoint

ORIGIN = "demo/0123456789abcdef0123456789abcdef"
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
SIGNERS = {name: SeedSigner(name.encode().ljust(32)) for name in ("log", "log2", *NAMES)}
LOG_KEY = VerifierKey(ORIGIN, ED25519, SIGNERS["log"].public)
OTHER_LOG_KEY = VerifierKey("other/log", ED25519, SIGNERS["log2"].public)
WITNESS_KEYS = {
    name: VerifierKey(f"witness.example/{name}", COSIGNATURE_V1, SIGNERS[name].public) for name in NAMES
}
VKEYS = {"log": encode_vkey(LOG_KEY), "log2": encode_vkey(OTHER_LOG_KEY)}
VKEYS |= {name: encode_vkey(key) for name, key in WITNESS_KEYS.items()}
VKEYS["X1_renamed"] = encode_vkey(WITNESS_KEYS["X1"]._replace(name="another.example/X1"))
VKEYS["log_renamed"] = encode_vkey(LOG_KEY._replace(name="another/log"))

# The example of the specification, with comments, tabs and addresses.
EXAMPLE = """
# what we believe
log {log}
  log\t{log2}   https://other.example/log
witness X1 {X1}
witness X2 {X2} https://x2.example
witness X3 {X3}
group X-witnesses 2 X1 X2 X3

witness Y1 {Y1}
witness Y2 {Y2}
\t# and the third
witness Y3 {Y3}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".format(**VKEYS)
POLICY = parse_policy(EXAMPLE.encode())
CHECKPOINT = sign_checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT, signer=SIGNERS["log"])
BODY = split_note(CHECKPOINT)[0]


def cosign_by(*names, text=CHECKPOINT):
    lines = [
        cosign(body=split_note(text)[0], name=WITNESS_KEYS[name].name, time_seconds=9, signer=SIGNERS[name])
        for name in names
    ]
    return add_signature_lines(text, "".join(lines))


def get_code(call, *arguments):
    with pytest.raises((Refused, Unverified)) as caught:
        call(*arguments)
    return caught.value.code


def test_the_example_of_the_specification_is_read():
    assert POLICY.logs == (Log(LOG_KEY), Log(OTHER_LOG_KEY, "https://other.example/log"))
    assert [witness.name for witness in POLICY.witnesses] == list(WITNESS_KEYS)
    assert POLICY.witnesses[1] == Witness("X2", WITNESS_KEYS["X2"], "https://x2.example")
    assert POLICY.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert POLICY.quorum == "X-and-Y"


def test_a_policy_reads_back_from_what_is_written():
    written = format_policy(POLICY)
    assert parse_policy(written) == POLICY
    assert format_policy(parse_policy(written)) == written


def test_octets_that_are_not_utf_8_name_witnesses_apart():
    first, second = (
        b"witness \xff\xfe " + VKEYS["X1"].encode() + b"\n",
        b"witness K " + VKEYS["X2"].encode() + b"\n",
    )
    kelvin = "witness \u212a ".encode() + VKEYS["X3"].encode() + b"\n"
    data = first + second + kelvin + b"group g all \xff\xfe K \xe2\x84\xaa\nquorum g\n"
    policy = parse_policy(data)
    assert len({witness.name for witness in policy.witnesses}) == 3
    assert parse_policy(format_policy(policy)) == policy


def test_the_quorum_is_met_by_exactly_the_witnesses_it_asks_for():
    for count in range(7):
        for names in itertools.combinations(WITNESS_KEYS, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
            note = cosign_by(*names)
            if enough:
                assert verify_checkpoint(POLICY, note) == Checkpoint(ORIGIN, 0, EMPTY_ROOT)
            else:
                assert get_code(verify_checkpoint, POLICY, note) == "QUORUM_NOT_MET"


def test_one_witness_or_none_can_be_the_quorum():
    base = "log {log}\nwitness X1 {X1}\n".format(**VKEYS)
    alone = parse_policy((base + "quorum X1\n").encode())
    assert verify_checkpoint(alone, cosign_by("X1")).size == 0
    assert get_code(verify_checkpoint, alone, cosign_by("X2")) == "QUORUM_NOT_MET"
    nobody = parse_policy((base + "quorum none\n").encode())
    assert verify_checkpoint(nobody, CHECKPOINT).size == 0


ENOUGH = cosign_by("X1", "X2", "Y1")
OTHER_LOG_SIGNS = sign_checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT, signer=SIGNERS["log2"])
# Signed by a listed log, but under its own name over another log's origin.
FOREIGN = sign_checkpoint(origin="other/log", size=0, root=EMPTY_ROOT, signer=SIGNERS["log2"])
CROSSED = BODY + "\n" + FOREIGN.split("\n\n")[1]
UNKNOWN = sign_checkpoint(origin="demo/x", size=0, root=EMPTY_ROOT, signer=SIGNERS["log"])

#   note, broken in one thing more than the next,                       code
UNBELIEVED = [
    ("no note at all", "NOTE_MALFORMED"),
    ("no checkpoint\n\n" + CHECKPOINT.split("\n\n")[1], "CHECKPOINT_MALFORMED"),
    (UNKNOWN, "LOG_UNKNOWN"),
    (ENOUGH.replace(ORIGIN + "\n0\n", ORIGIN + "\n1\n"), "SIGNATURE_INVALID"),
    (cosign_by("X1", "X2", "Y1", text=OTHER_LOG_SIGNS), "LOG_SIGNATURE_MISSING"),
    (cosign_by("X1", "X2", "Y1", text=CROSSED), "LOG_SIGNATURE_MISSING"),
    (OTHER_LOG_SIGNS, "LOG_SIGNATURE_MISSING"),
    (CHECKPOINT, "QUORUM_NOT_MET"),
]


@pytest.mark.parametrize(("note", "code"), UNBELIEVED, ids=range(len(UNBELIEVED)))
def test_a_checkpoint_that_is_not_believed_says_why(note, code):
    assert verify_checkpoint(POLICY, ENOUGH).origin == ORIGIN
    assert get_code(verify_checkpoint, POLICY, note) == code


def test_a_policy_without_logs_believes_none():
    policy = parse_policy(b"quorum none\n")
    assert get_code(verify_checkpoint, policy, CHECKPOINT) == "LOG_UNKNOWN"


def test_a_witness_that_signs_twice_counts_once():
    note = cosign_by("X1", "X1", "X1", "Y1")
    assert get_code(verify_checkpoint, POLICY, note) == "QUORUM_NOT_MET"


#   file,                                                    what is wrong with it
MALFORMED = [
    ("", "no quorum"),
    ("log {log}\n", "no quorum"),
    ("quorum none", "cut short"),
    ("quorum none\n# cut", "cut short"),
    ("quorum none\nquorum none\n", "two quorums"),
    ("quorum X1\n", "not defined"),
    ("quorum X1\nwitness X1 {X1}\n", "defined later"),
    ("quorum\n", "no name"),
    ("quorum none none\n", "two names"),
    ("log\nquorum none\n", "no key"),
    ("log {log} u v\nquorum none\n", "two addresses"),
    ("log {log}\nlog {log}\nquorum none\n", "a log twice"),
    ("log {X1}\nquorum none\n", "a witness's key"),
    ("witness X1 {log}\nquorum X1\n", "a log's key"),
    ("witness X1\nquorum none\n", "no key"),
    ("witness X1 {X1} u v\nquorum none\n", "two addresses"),
    ("witness X1 {X1}\nwitness X2 {X1}\nquorum X1\n", "a witness twice"),
    ("witness X1 {X1}\nwitness X2 {X1_renamed}\nquorum X1\n", "a witness's key under two names"),
    ("log {log}\nlog {log_renamed}\nquorum none\n", "a log's key under two names"),
    ("witness X1 {X1}\nwitness X1 {X2}\nquorum X1\n", "a name twice"),
    ("witness none {X1}\nquorum none\n", "a name that is taken"),
    ("witness X1 {X1}\ngroup X1 any X1\nquorum X1\n", "a name twice"),
    ("witness X1 {X1}\ngroup none any X1\nquorum none\n", "a name that is taken"),
    ("group g any g\nquorum g\n", "a group of itself"),
    ("group g any none\nquorum g\n", "none as a member"),
    ("group g any X1\nwitness X1 {X1}\nquorum g\n", "defined later"),
    ("witness X1 {X1}\ngroup g any X1 X1\nquorum g\n", "a member twice"),
    ("witness X1 {X1}\ngroup g any X1\ngroup h any X1\nquorum g\n", "a member of two"),
    ("witness X1 {X1}\ngroup g 0 X1\nquorum g\n", "too low"),
    ("witness X1 {X1}\ngroup g 2 X1\nquorum g\n", "too high"),
    ("witness X1 {X1}\ngroup g 01 X1\nquorum g\n", "a leading zero"),
    ("witness X1 {X1}\ngroup g +1 X1\nquorum g\n", "a sign"),
    ("witness X1 {X1}\ngroup g \u0661 X1\nquorum g\n", "not ASCII"),
    ("witness X1 {X1}\ngroup g ALL X1\nquorum g\n", "capitals"),
    ("witness X1 {X1}\ngroup g any\nquorum g\n", "no members"),
    ("Log {log}\nquorum none\n", "capitals"),
    ("mirror {log}\nquorum none\n", "an unknown line"),
    ("quorum none\r\n", "a carriage return"),
    ("quorum\x0bnone\n", "a control character"),
    ("quorum none\n\x7f\n", "a control character"),
    ("quorum none\n" + "#\n" * 1024, "too many lines"),
    ("quorum none\n#" + "x" * 300_000 + "\n", "too long"),
]


@pytest.mark.parametrize(
    ("text", "wrong"), MALFORMED, ids=[f"{n} {row[1]}" for n, row in enumerate(MALFORMED)]
)
def test_a_file_that_is_wrong_anywhere_is_refused_whole(text, wrong):
    assert wrong, "each row says what is wrong"
    assert get_code(parse_policy, text.format(**VKEYS).encode()) == "POLICY_MALFORMED"


def test_a_key_that_is_unfit_makes_the_file_unfit():
    assert get_code(parse_policy, b"log demo+00000000+AAAA\nquorum none\n") == "VKEY_MALFORMED"
    identity = encode_vkey(VerifierKey("w", COSIGNATURE_V1, b"\x01".ljust(32, b"\x00")))
    assert get_code(parse_policy, f"witness w {identity}\nquorum w\n".encode()) == "KEY_REFUSED"


def test_as_many_logs_witnesses_and_groups_are_read_as_the_specification_asks_for():
    signers = [SeedSigner(bytes([number]) * 32) for number in range(32)]
    policy = Policy(
        tuple(Log(VerifierKey(f"log/{n}", ED25519, each.public)) for n, each in enumerate(signers)),
        tuple(
            Witness(f"w{n}", VerifierKey(f"w/{n}", COSIGNATURE_V1, each.public))
            for n, each in enumerate(signers)
        ),
        tuple(Group(f"g{n}", 1, (f"w{n}",)) for n in range(32)),
        "g31",
    )
    assert parse_policy(format_policy(policy)) == policy


@pytest.mark.parametrize(
    "policy",
    [
        Policy((), (), (), "w"),
        Policy((), (Witness("a b", WITNESS_KEYS["X1"]),), (), "a b"),
        Policy((), (Witness("#", WITNESS_KEYS["X1"]),), (Group("g", 2, ("#",)),), "g"),
        Policy((Log(LOG_KEY, "two words"),), (), (), "none"),
        Policy((Log(LOG_KEY, ""),), (), (), "none"),
    ],
)
def test_what_would_not_read_back_is_not_written(policy):
    assert get_code(format_policy, policy) in {"POLICY_MALFORMED", "VKEY_MALFORMED"}
