"""What a statement's pages say, in Chinese and in English: every text that people read is here, twice."""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["zh", "en"]

REASONS: Final[dict[str, tuple[str, str]]] = {
    "accrual_fee": ("累积服务费", "Accrual fee"),
    "accrual_fee_return": ("退回累积服务费", "Accrual fee returned"),
    "commission": ("手续费", "Commission"),
    "commission_return": ("退回手续费", "Commission returned"),
    "correction": ("表决更正", "Corrected by vote"),
    "earn": ("在伙伴处累积", "Points earned at partner"),
    "earn_return": ("退货收回积分", "Earned points taken back"),
    "exchange": ("积分兑换", "Points exchanged"),
    "redeem": ("积分消费", "Points spent"),
    "redeem_return": ("退回已消费积分", "Spent points refunded"),
    "rounding": ("尾差自留", "Rounding kept"),
}

KINDS: Final[dict[str, tuple[str, str]]] = {
    "award": ("奖励", "Award"),
    "capture": ("扣款", "Capture"),
    "earn": ("累积", "Earn"),
    "enact": ("表决执行", "Enactment"),
    "exchange": ("兑换", "Exchange"),
    "redeem": ("消费", "Redeem"),
    "refund": ("退回", "Refund"),
    "return_order": ("退货", "Return"),
}

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "accounted": ("币种", "Currency"),
    "amount": ("金额", "Amount"),
    "brand": ("品牌", "Brand"),
    "brand_shares": ("品牌分成", "Brand shares"),
    "brand_shares_note": ("应收款按约定份额分到各品牌。", "What is received, split by the parts agreed."),
    "brought": ("前期转入", "Brought over"),
    "brought_note": (
        "前面各期中止或违约后留到本期结清的款项。",
        "What earlier windows left unpaid after an abort or a default, to be settled now.",
    ),
    "by_counterparty": ("往来汇总", "By counterparty"),
    "by_counterparty_note": (
        "本期与各方的往来合计，含前期转入；实际支付以轧差后的付款指令为准。",
        "Sums with each counterparty, amounts brought over included. What is paid is the net, below.",
    ),
    "carry_after": ("结转下期", "Carried forward"),
    "carry_before": ("上期结转", "Carried in"),
    "chain": ("账本", "Ledger"),
    "closed": ("关账时间", "Closed"),
    "counterparty": ("对方", "Counterparty"),
    "creditor": ("收款方", "Payee"),
    "date": ("日期", "Date"),
    "debtor": ("付款方", "Payer"),
    "debits": ("应付", "Owes"),
    "credits": ("应收", "Is owed"),
    "entry": ("记录号", "Entry"),
    "from": ("应付方", "From"),
    "hash": ("结算单哈希", "Statement hash"),
    "heights": ("账本高度", "Heights"),
    "kind": ("类型", "Kind"),
    "lines": ("应收应付明细", "Who owes whom"),
    "lines_note": (
        "按应付方、应收方和事由合计。对某一行有异议时，请引用其行号。",
        "Sums by payer, payee and reason. To dispute one, name its line number.",
    ),
    "member": ("会员", "Member"),
    "net": ("本期净额", "Net of the window"),
    "none": ("无", "None"),
    "number": ("行号", "Line"),
    "orders": ("订单明细", "Orders behind the lines"),
    "orders_cut": (
        "此处列出前 {shown} 笔，共 {count} 笔；全部见 CSV 或 Parquet。",
        "The first {shown} of {count}; CSV and Parquet have them all.",
    ),
    "orders_note": ("会员以假名显示。", "Members appear under their pseudonyms."),
    "participant": ("参与方", "Participant"),
    "payment": ("本期收付", "To pay or receive"),
    "pays": ("应付款", "pays"),
    "points": ("积分", "Points"),
    "positions": ("各方净额", "Positions"),
    "positions_note": (
        "净额为正表示应收，为负表示应付。不足一个支付单位的尾数结转下期，收付与结转合计均为零。",
        "Above zero is received, below zero is paid. Less than a payment unit is carried forward.",
    ),
    "previous": ("上期结算单哈希", "Hash of the statement before"),
    "program": ("积分计划", "Program"),
    "reason": ("事由", "Reason"),
    "receives": ("应收款", "receives"),
    "reference": ("单号", "Reference"),
    "result": ("结果", "Result"),
    "rounding": ("尾差户", "rounding"),
    "settled": ("本期无收付", "nothing to pay or receive"),
    "side_of": ("{name} 的结算视图", "As seen by {name}"),
    "statement": ("结算单", "Settlement statement"),
    "sum": ("合计", "Sum"),
    "to": ("应收方", "To"),
    "transfer": ("付款号", "Transfer"),
    "transfers": ("付款指令", "Payments"),
    "transfers_note": (
        "轧差后的付款，付款方和收款方付讫后各自确认并附银行流水号。",
        "What settles the net. Payer and payee each attest it with the bank's reference.",
    ),
    "unit": ("支付单位", "Payment unit"),
    "verify": (
        "任何持有账本日志的人都可重新计算出同一份结算单：",
        "Anybody with the log recomputes this very statement:",
    ),
    "whole": ("全体参与方", "All participants"),
    "window": ("第 {number} 期", "Window {number}"),
    "with_whom": ("对方", "With"),
}


def get_word(name: str, language: Language) -> str:
    """The text under this name."""
    return _WORDS[name][language == "en"]


def get_reason(reason: str, language: Language) -> str:
    """What a line is for. A reason this program has no words for stands as it is."""
    return REASONS.get(reason, (reason, reason))[language == "en"]


def get_kind(kind: str, language: Language) -> str:
    """What kind of message an entry is."""
    return KINDS.get(kind, (kind, kind))[language == "en"]
