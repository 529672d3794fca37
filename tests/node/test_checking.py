"""A checker says what the rule itself would say, or nothing at all."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ledger.keys import SeedSigner, SignedText, is_valid_signature
from node.checking import CheckerProcess

SIGNERS = [SeedSigner(bytes([number]) * 32) for number in range(4)]


@pytest.fixture
def checker() -> Iterator[CheckerProcess]:
    checker = CheckerProcess()
    yield checker
    checker.close()


def make_texts(count: int, *, mark: bytes = b"") -> list[SignedText]:
    """Every third signature is of another text."""
    texts = []
    for number in range(count):
        signer = SIGNERS[number % len(SIGNERS)]
        text = b"text %d %b" % (number, mark)
        texts.append(SignedText(signer.public, text, signer.sign(text if number % 3 else b"other" + text)))
    return texts


def judge_alone(signed: SignedText) -> bool:
    return is_valid_signature(public=signed.public, text=signed.text, signature=signed.signature)


def wait_for_answers(checker: CheckerProcess, count: int) -> None:
    while len(checker._answers) < count:
        checker._take_answers()
        checker._send()


def test_every_answer_is_that_of_the_rule_whenever_it_is_asked_for(checker):
    for count in (1, 16, 17, 500):
        texts = make_texts(count, mark=b"%d" % count)
        checker.expect(texts)
        assert [checker.is_valid(signed) for signed in texts] == [judge_alone(signed) for signed in texts]


def test_answers_come_from_the_other_process(checker, monkeypatch):
    texts = make_texts(48)
    expected = [judge_alone(signed) for signed in texts]
    checker.expect(texts)
    wait_for_answers(checker, len(texts))
    monkeypatch.setattr("node.checking.is_valid_signature", lambda **_: pytest.fail("checked here"))
    assert [checker.is_valid(signed) for signed in texts] == expected


def test_an_answer_is_good_for_the_very_text_key_and_signature_it_was_given_for(checker):
    texts = make_texts(16)
    good = texts[1]
    checker.expect(texts)
    wait_for_answers(checker, len(texts))
    for other in (
        good._replace(text=good.text + b"."),
        good._replace(public=SIGNERS[3].public),
        good._replace(signature=bytes(64)),
    ):
        assert not checker.is_valid(other)
    assert checker.is_valid(good)


def test_what_an_earlier_block_announced_and_nobody_asked_about_is_forgotten(checker):
    checker.expect(make_texts(64, mark=b"before"))
    texts = make_texts(64, mark=b"after")
    checker.expect(texts)
    assert [checker.is_valid(signed) for signed in texts] == [judge_alone(signed) for signed in texts]
    while checker._sent:
        checker._take_answers()
    checker.expect([])
    assert not checker._answers


def test_more_than_fits_between_the_two_is_answered_all_the_same(checker):
    texts = [signed._replace(text=bytes(4_000) + signed.text) for signed in make_texts(2_000)]
    checker.expect(texts)
    assert not any(checker.is_valid(signed) for signed in texts)


def test_a_node_that_hears_few_signatures_starts_no_process(checker):
    for texts in (make_texts(15, mark=b"%d" % number) for number in range(3)):
        checker.expect(texts)
        assert [checker.is_valid(signed) for signed in texts] == [judge_alone(signed) for signed in texts]
    assert checker._process is None


def test_both_work_at_what_is_asked_about_at_once(checker, monkeypatch):
    texts = make_texts(1_000)
    expected = [judge_alone(signed) for signed in texts]
    checked_here = []

    def check(**signed) -> bool:
        checked_here.append(signed["text"])
        return is_valid_signature(**signed)

    checker.warm_up()
    monkeypatch.setattr("node.checking.is_valid_signature", check)
    checker.expect(texts)
    wait_for_answers(checker, 16)
    assert [checker.is_valid(signed) for signed in texts] == expected
    assert 0 < len(checked_here) < len(texts), "some here, some there"
    assert len(set(checked_here)) == len(checked_here), "and none twice here"


def test_a_checker_that_stands_still_is_waited_for_once(checker):
    texts = make_texts(400)
    checker.warm_up()
    checker.expect(texts[:16])
    wait_for_answers(checker, 16)
    os.kill(checker._process.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        for start in range(0, 400, 100):
            checker.expect(texts[start : start + 100])
            some = texts[start : start + 100]
            assert [checker.is_valid(signed) for signed in some] == [judge_alone(signed) for signed in some]
        assert time.monotonic() - begun < 2
    finally:
        os.kill(checker._process.pid, signal.SIGCONT)


def test_nothing_hangs_on_the_other_process(checker):
    texts = make_texts(64)
    checker.expect(texts)
    os.kill(checker._process.pid, signal.SIGKILL)
    checker._process.join()
    checker.expect(texts)
    assert [checker.is_valid(signed) for signed in texts] == [judge_alone(signed) for signed in texts]
    assert not checker.wants_notice, "nothing is announced to nobody"
