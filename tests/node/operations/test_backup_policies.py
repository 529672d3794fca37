"""The notes under which trust policies handed over come along: nobody could sign them again."""

from __future__ import annotations

from node.backup import back_up, restore


def test_the_notes_between_two_policies_are_in_a_backup_and_come_back(leader, tmp_path):
    notes = leader.directory / "policies"
    notes.mkdir(exist_ok=True)
    (notes / "00000001.note").write_text("what the policy before accepts\n")
    back_up(leader.directory, tmp_path / "backup", with_keys=True)
    restore(tmp_path / "backup", tmp_path / "again")
    for folder in ("backup", "again"):
        assert (tmp_path / folder / "policies" / "00000001.note").read_text().startswith("what the policy")
