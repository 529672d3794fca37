"""The tables of the state: what each holds, how long it matters, and which are whole in memory."""

from __future__ import annotations

from typing import Any, Final

from contracts.mechanics import governance_records as governance
from contracts.mechanics import records
from contracts.mechanics import settlement_records as settlement
from contracts.mechanics.due_work import CLOCK

TABLES: Final[dict[str, Any]] = {
    records.PARTICIPANT: records.Participant,
    records.PARAMETER: records.Parameter,
    records.PROGRAM: records.Program,
    records.SERIES: records.Series,
    records.GRANT: records.GrantRecord,
    records.MEMBER: records.Member,
    records.NONCE: int,
    records.REFERENCE: records.ReferenceRecord,
    records.EARNED: records.Earned,
    records.SPENT: records.Spent,
    records.HOLD: records.HoldRecord,
    records.DEBT: int,
    records.POLICY: records.Policy,
    records.TILL: records.TillLimits,
    records.EXPOSURE: records.Exposure,
    governance.GOVERNMENT: governance.Government,
    governance.PROPOSAL: governance.ProposalRecord,
    governance.AGENDA: governance.Agenda,
    governance.RESERVED: int,
    governance.HALT: governance.Halt,
    governance.TRIAL: governance.TrialRecord,
    governance.TRUST: governance.TrustPolicy,
    governance.ISSUANCE: governance.Issuance,
    governance.ENGINE: governance.EngineRecord,
    governance.VALIDATORS: governance.ValidatorSet,
    settlement.COVER: settlement.Cover,
    settlement.FUND: int,
    settlement.OPEN_WINDOW: settlement.OpenWindow,
    settlement.WINDOW: settlement.WindowRecord,
    settlement.STATEMENT: str,
    settlement.STATED: int,
    settlement.CARRY: int,
    settlement.BROUGHT: int,
    settlement.BRANDS: settlement.Brands,
    CLOCK: int,
}
"""Table name → record type. `nonce` holds the expiry of a consent that was spent, `debt` the points an
account owes; `reserved` by key how many proposals that are open or wait name it, `clock` what is due by key;
`fund` what the alliance's fund holds, `statement` the canonical text of a window's, `stated` by `owed` key
what the last cut found there, `carry` what a participant's cents left over, `brought` by debtor, creditor and
window what an earlier window left unpaid: micros all.
"""

RESIDENT: Final = frozenset(TABLES) - {
    records.MEMBER,
    records.NONCE,
    records.REFERENCE,
    records.EARNED,
    records.SPENT,
    records.HOLD,
    settlement.STATEMENT,
}
"""The alliance's own tables: as small as the alliance, however many members it has. And debts: few members
have any, and every earning asks.
"""
FLEETING: Final = frozenset({records.NONCE, records.REFERENCE, records.EARNED, records.SPENT})
"""What was spent is looked for, and as a rule not found: there is no use in keeping it at hand."""
RETENTION: Final = {
    records.NONCE: 1,
    records.REFERENCE: records.RETENTION_DAYS,
    records.EARNED: records.RETENTION_DAYS,
    records.SPENT: records.RETENTION_DAYS,
    records.HOLD: records.RETENTION_DAYS,
}
"""Table → days after the day its keys begin with, from which a record never matters again."""
