"""Random actions about trust: which log keys and witnesses a policy lists, and who the validators are."""

from __future__ import annotations

from typing import Any

from tests.properties.alliance import UNFIT_KEYS
from tests.properties.draws import Draws
from tests.properties.model_trust import LOG, WITNESS, find_log_keys, make_vkey

Action = dict[str, Any]
OTHER_CHAIN = "other/" + "0" * 32


def set_validators(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    there = sorted(set(draws.state.participants) - set(draws.state.removed))
    chosen = sorted(rng.sample(there, rng.choice((1, 2, 4, min(7, len(there))))))
    engines = draws.state.engines
    known = {row[0]: row[2] for row in engines["validators"].validators} if engines else {}
    # Most of those who stay keep their keys.
    rows = [
        {
            "participant": who,
            "power": rng.choice((1, 10, 10, 10, 1_000_000)),
            "public": known[who] if who in known and rng.random() < 0.8 else draws.alliance.new_pair().public,
        }
        for who in chosen
    ]
    return {"validators": spoil(draws, rows) if wrong else rows}


def spoil(draws: Draws, rows: list[Action]) -> list[Action]:
    rng, fresh = draws.rng, draws.alliance.new_pair().public
    gone = list(draws.state.removed)
    mistakes = (
        [*rows, rows[0]],
        [{**rows[0], "participant": "zz"}, *rows],
        [*rows, {**rows[0], "participant": "zz-last"}],
        [*rows, {"participant": "zz-nobody", "power": 1, "public": fresh}],
        [{**rows[0], "public": rng.choice(UNFIT_KEYS)}, *rows[1:]],
        [{"participant": rng.choice(gone or ["nobody"]), "power": 1, "public": fresh}],
    )
    return rng.choice(mistakes)


def switch_engine(draws: Draws, wrong: str | None) -> Action:
    return {"engine": "cometbft", **set_validators(draws, wrong)}


def set_trust_policy(draws: Draws, wrong: str | None) -> Action:
    if wrong and draws.rng.random() < 0.8:
        return {"policy": draws.rng.choice(make_mistakes(draws))}
    return {"policy": make_policy(draws)}


def make_policy(draws: Draws) -> str:
    """Log keys that go on, new ones or both; nobody, one witness or groups of them as the quorum."""
    rng, chain = draws.rng, draws.alliance.chain
    present = sorted(find_log_keys(draws.state, chain=chain, height=draws.height))
    keys = rng.sample(present, rng.randrange(len(present) + 1))
    fresh = rng.choice((0, 0, 1, 3)) or (not keys)
    keys += [draws.alliance.new_pair().public for _ in range(fresh)]
    lines = [f"log {make_vkey(chain, key)}" for key in keys]
    if rng.random() < 0.2:
        lines.append(f"log {make_vkey(OTHER_CHAIN, draws.alliance.new_pair().public)} https://log.example/x")
    count = rng.choice((0, 0, 1, 3, 5))
    names = [f"w{number}" for number in range(count)]
    witnesses = [f"witness {name} {make_witness(draws, name)}" for name in names]
    witnesses = [line + rng.choice(("", "\thttps://w.example")) for line in witnesses]
    lines, quorum = rng.sample([*lines, *witnesses], len(lines) + count), "none"
    if count == 1:
        quorum = "w0"
    elif count:
        half = 1 + count // 2
        lines.append(f"group one {rng.choice(('any', 'all', '1', str(half)))} {' '.join(names[:half])}")
        lines.append(f"group both {rng.choice(('any', 'all', '2'))} one {' '.join(names[half:])}")
        quorum = rng.choice(("both", "both", "one", "none"))
    lines += [f" quorum\t{quorum} "]
    if rng.random() < 0.3:
        lines = ["# 我们的", "", *lines]
    return "\n".join(lines) + "\n"


def make_witness(draws: Draws, name: str) -> str:
    return make_vkey(f"{name}.example/é", draws.alliance.new_pair().public, WITNESS)


def make_mistakes(draws: Draws) -> tuple[str, ...]:
    chain, fresh = draws.alliance.chain, draws.alliance.new_pair().public
    log, end = f"log {make_vkey(chain, fresh)}\n", "quorum none\n"
    known = draws.alliance.new_pair().public
    twin = make_vkey("twin", known, WITNESS)
    witness = f"witness w {make_vkey('w', known, WITNESS)}\nwitness v {make_witness(draws, 'v')}\n"
    unfit = make_vkey(chain, draws.rng.choice(UNFIT_KEYS))
    return (
        *("nothing", "\n", log, end, log + end[:-1], log + end + end, log + "quorum\n", log + "quorum w\n"),
        f"log {make_vkey(OTHER_CHAIN, fresh)}\n{end}",
        f"log {make_vkey(chain, fresh, WITNESS)}\n{end}",
        f"log {unfit}\n{end}",
        f"{log}{log}{end}",
        f"{log}log {make_vkey(OTHER_CHAIN, fresh)}\n{end}",
        log.replace("+", "+0", 1) + end,
        log[:-2] + "\n" + end,
        f"{log}witness w {make_vkey('w', fresh, LOG)}\n{end}",
        f"{log}{witness}{witness}{end}",
        f"{log}{witness}witness u {twin}\n{end}",
        f"{log}{witness}witness none {make_witness(draws, 'u')}\n{end}",
        f"{log}{witness}group g 3 w v\nquorum g\n",
        f"{log}{witness}group g 0 w v\nquorum g\n",
        f"{log}{witness}group g 01 w v\nquorum g\n",
        f"{log}{witness}group g any w w\nquorum g\n",
        f"{log}{witness}group g any w x\nquorum g\n",
        f"{log}{witness}group g any none\nquorum g\n",
        f"{log}{witness}group g any\nquorum g\n",
        f"{log}{witness}group w any v\nquorum w\n",
        f"{log}{witness}group g any w v\ngroup h any w\nquorum g\n",
        f"{log}quorum w\n{witness}",
        f"{log}{end}\r\n",
        f"{log}{end}and more\n",
    )
