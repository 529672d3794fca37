"""What people are shown: actions in words, actions read from their files, and the picture."""

from __future__ import annotations

import re
from typing import get_args
from xml.etree import ElementTree as ET

import msgspec
import pytest

from contracts.messages.actions import Action, CapDebit, ChangeParameter, SetPar, SuspendParticipant, Trial
from ledger.errors import Refused
from node.preview.chart import draw_chart
from node.preview.proposed import make_parameter_actions, read_actions
from node.preview.run import preview
from node.preview.span import Beginning
from node.preview.words import tell_action, tell_money, tell_share
from tests.contracts.cast import FRESH, PETROL

SVG = "{http://www.w3.org/2000/svg}"
VALUES = {
    "actions": "",
    "add": [{"public": "A" * 42 + "A", "purpose": "govern"}],
    "approve_basis_points": 6_667,
    "budget_day": 1_234_567,
    "budget_total": 7_654_321,
    "cap": 98_765_432_109,
    "corrections": [{"from": "shop-a", "micros": 4_440_000, "to": "shop-b"}],
    "keys": [{"public": "A" * 42 + "A", "purpose": "govern"}],
    "engine": "cometbft",
    "kind": "trust",
    "name": "Cinema Nova",
    "notice_heights": 777,
    "par_accrue": 10_500,
    "par_redeem": 9_700,
    "parameter": "commission_basis_points",
    "participant": "cinema-nova",
    "policy": "log example\n",
    "program": "leaf",
    "revoke": ["0123456789abcdef"],
    "series": "leaf-1",
    "validators": [{"participant": "cinema-nova", "power": 31_000, "public": "B" * 42 + "A"}],
    "value": 4_321,
    "version": 17,
    "weight": 5,
    "window": 12,
}
"""A value for every field that an action has to have."""


@pytest.mark.parametrize("kind", get_args(Action), ids=lambda kind: kind.__struct_config__.tag)
def test_every_action_is_told_with_every_value_it_carries(kind):
    fields = {
        field.encode_name: VALUES[field.encode_name]
        for field in msgspec.structs.fields(kind)
        if field.required
    }
    if kind.__struct_config__.tag in ("pause", "resume"):
        fields["message"] = "earn"
    action = msgspec.convert({"@type": kind.__struct_config__.tag, **fields}, Action)
    told = tell_action(action)
    assert "Struct" not in told
    assert "(" not in told.partition(" ")[0]
    said = re.sub(r"[,\s]", "", told)
    for name, value in fields.items():
        if name in ("keys", "add"):
            assert str(len(value)) in told
        elif name == "validators":
            assert all(str(each) in said for row in value for each in row.values())
        elif name in ("cap", "par_accrue", "par_redeem"):
            assert tell_money(value) in told
        elif name == "approve_basis_points":
            assert tell_share(value) in told
        elif isinstance(value, str | int):
            assert re.sub(r"[,\s]", "", str(value)) in said, name


def test_a_trial_says_where_it_is_tried():
    at = ChangeParameter(parameter="debt_points_max", trial=Trial(merchants=["shop-a", "shop-b"]), value=5)
    share = ChangeParameter(parameter="debt_points_max", trial=Trial(members_basis_points=250), value=5)
    assert tell_action(at) == "debt_points_max becomes 5, on trial at shop-a, shop-b"
    assert tell_action(share) == "debt_points_max becomes 5, on trial for 2.50 % of members"


def test_json_and_toml_say_the_same_actions():
    expected = [
        ChangeParameter(parameter="commission_basis_points", value=300),
        SetPar(par_accrue=10_000, par_redeem=10_000, program="leaf", series="s1"),
    ]
    canonical = msgspec.json.encode(expected)
    toml = b"""
[[actions]]
type = "set_parameter"
parameter = "commission_basis_points"
value = 300
[[actions]]
"@type" = "set_par"
par_accrue = 10000
par_redeem = 10000
program = "leaf"
series = "s1"
"""
    assert read_actions(canonical, is_toml=False) == expected
    assert read_actions(b'{"actions":%b}' % canonical, is_toml=False) == expected
    assert read_actions(toml, is_toml=True) == expected
    assert make_parameter_actions(["commission_basis_points=300"]) == expected[:1]


BAD = [
    b"",
    b"[]",
    b"{}",
    b"3",
    b'[{"type":"set_parameter","parameter":"a"}]',
    b'[{"type":"set_parameter","parameter":"a_b","value":1,"until":3}]',
    b'[{"type":"give_points","member":"me","points":10}]',
    b'[{"@type":"suspend","type":"suspend","participant":"shop"}]',
    b'[{"type":"suspend","participant":"Not An Id"}]',
    b"[" + b",".join([b'{"type":"suspend","participant":"shop"}'] * 17) + b"]",
    b"[" * 100_000,
    b"\xff",
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_list_of_actions_is_refused_before_anything_is_signed(data):
    for is_toml in (False, True):
        with pytest.raises(Refused, match="ACTIONS_MALFORMED"):
            read_actions(data, is_toml=is_toml)


@pytest.mark.parametrize("setting", ["", "a", "a_b=", "a_b=x", "a_b=-1", "a_b=1.5", "A=1", "a_b=٣"])
def test_a_setting_is_a_name_and_a_whole_number(setting):
    with pytest.raises(Refused, match="ACTIONS_MALFORMED"):
        make_parameter_actions([setting])


@pytest.fixture(scope="module")
def found(log):
    actions = [ChangeParameter(parameter="accrual_fee_basis_points", value=300), CapDebit(300_000, FRESH)]
    return preview(log, actions=actions, beginning=Beginning(height=20))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_picture_holds_every_difference_and_loads_nothing(found, language):
    drawn = draw_chart(found, language=language)
    root = ET.fromstring(drawn)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for impact in found.impacts:
        moved = impact.difference.position_micros
        if moved:
            assert impact.participant in texts
            assert f"{'+' if moved > 0 else ''}{tell_money(moved)}" in texts
    for group in found.flips:
        assert f"{group.count:,} × {group.type}: {group.before} → {group.after}" in texts
    assert not re.search(r"href|url\(|<script|<image|@import", drawn)
    assert ("净头寸（金额）" in texts) == (language == "zh")
    bars = [int(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("width").isdigit()]
    assert 1 <= min(bars) <= max(bars) <= 960


def test_bars_are_as_long_as_their_amounts(found):
    root = ET.fromstring(draw_chart(found, language="en"))
    moved = sorted(
        abs(each.difference.position_micros) for each in found.impacts if each.difference.position_micros
    )
    lengths = [int(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("width").isdigit()]
    # The first panel is that of positions.
    first = sorted(lengths[: len(moved)])
    assert first == [max(1, first[-1] * amount // moved[-1]) for amount in moved]


def test_a_page_is_the_picture_with_a_title(found):
    page = draw_chart(found, language="zh", is_page=True)
    assert page.startswith('<!doctype html>\n<html lang="zh-Hans">')
    assert draw_chart(found, language="zh") in page


def test_names_cannot_become_markup(log):
    hostile = SuspendParticipant(PETROL)
    told = preview(log, actions=[hostile], beginning=Beginning(height=20))
    impacts = [
        msgspec.structs.replace(each, participant=f"<script>{each.participant}</script>")
        for each in told.impacts
    ]
    drawn = draw_chart(msgspec.structs.replace(told, impacts=impacts), language="en")
    assert "&lt;script&gt;petrol-west" in drawn
    assert "<script" not in drawn
    ET.fromstring(drawn)
