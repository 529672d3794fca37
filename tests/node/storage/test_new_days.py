"""What is known of a day without asking the disk is never wrong about what is there."""

from __future__ import annotations

import random

import pytest

from node.storage.new_days import NewDays


class Disk:
    """Tables, and how often somebody looked whether a day is empty."""

    def __init__(self) -> None:
        self.keys: dict[str, set[str]] = {"earned": set(), "account": set()}
        self.looks: list[tuple[str, str]] = []

    def is_empty(self, table: str, day: str) -> bool:
        self.looks.append((table, day))
        return not any(key.startswith(day) for key in self.keys[table])

    def write(self, days: NewDays, table: str, *keys: str) -> None:
        days.note({table: dict.fromkeys(keys, 1)})
        self.keys[table].update(keys)


def may_exist(days: NewDays, table: str, key: str) -> bool:
    """Whether the disk has to be asked."""
    return list(days.select(table, [key])) == [key]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def days(disk) -> NewDays:
    return NewDays({"earned"}, disk.is_empty)


def test_what_was_written_is_always_looked_for(disk, days):
    draw = random.Random(3)
    for number in range(2_000):
        disk.write(days, "earned", f"{draw.randint(20_000, 20_003):07d}|shop|earn|leaf|{number}")
    assert all(may_exist(days, "earned", key) for key in disk.keys["earned"])


def test_what_was_never_written_is_hardly_ever_looked_for(disk, days):
    disk.write(days, "earned", *(f"0020000|shop|earn|leaf|{number}" for number in range(2_000)))
    asked = [may_exist(days, "earned", f"0020000|shop|earn|leaf|x{number}") for number in range(2_000)]
    assert sum(asked) < 20
    assert not any(may_exist(days, "earned", f"0019999|shop|earn|leaf|{number}") for number in range(100))


def test_a_day_that_had_records_before_is_looked_up(disk, days):
    disk.keys["earned"].add("0020000|shop|earn|leaf|old")
    disk.write(days, "earned", "0020000|shop|earn|leaf|new", "0020001|shop|earn|leaf|new")
    assert may_exist(days, "earned", "0020000|shop|earn|leaf|old")
    assert not may_exist(days, "earned", "0020001|shop|earn|leaf|old")


def test_a_day_that_was_read_is_known(disk, days):
    disk.keys["earned"].add("0020000|shop|earn|leaf|old")
    days.learn("earned", "0020000", disk.keys["earned"])
    disk.write(days, "earned", "0020000|shop|earn|leaf|new")
    assert all(may_exist(days, "earned", key) for key in disk.keys["earned"])
    assert not may_exist(days, "earned", "0020000|shop|earn|leaf|other")


def test_nothing_is_known_of_days_and_tables_that_nobody_wrote_to(disk, days):
    disk.write(days, "earned", "0020000|shop|earn|leaf|1")
    assert may_exist(days, "earned", "0020001|shop|earn|leaf|1")
    disk.write(days, "account", "m_1|leaf")
    assert may_exist(days, "account", "m_2|leaf")


def test_each_day_is_asked_about_once(disk, days):
    for number in range(50):
        disk.write(days, "earned", f"0020000|shop|earn|leaf|{number}")
    assert disk.looks == [("earned", "0020000"), ("earned", "0019999")]


def test_a_removal_leaves_no_mark_and_what_is_forgotten_is_looked_up(disk, days):
    days.note({"earned": {"0020000|shop|earn|leaf|1": None}})
    assert disk.looks == []
    disk.write(days, "earned", "0020000|shop|earn|leaf|2")
    days.forget()
    assert may_exist(days, "earned", "0020000|shop|earn|leaf|3")


def test_a_node_that_runs_for_long_knows_the_latest_days_and_no_others(disk, days):
    for day in range(20_000, 20_040):
        disk.write(days, "earned", f"{day:07d}|shop|earn|leaf|1")
    assert not may_exist(days, "earned", "0020039|shop|earn|leaf|2")
    assert not may_exist(days, "earned", "0020038|shop|earn|leaf|2")
    assert may_exist(days, "earned", "0020030|shop|earn|leaf|2"), "asked of the disk"
    assert len(days._fields["earned"]) == 3
    disk.write(days, "earned", "0020010|shop|earn|leaf|late")
    assert all(may_exist(days, "earned", key) for key in disk.keys["earned"])
