"""What the API promises it promises through workers too: its own tests, once more, over a real socket.

A part of them is always run; the rest, and those that want a node each, which takes seconds to start, with
`--full` alone.
"""

from __future__ import annotations

import inspect

import pytest

from tests.node.link.linked import LinkedDesk, load_again

MODULES = (
    "test_alliance",
    "test_answers",
    "test_events",
    "test_export",
    "test_governance",
    "test_hostile_requests",
    "test_log_files",
    "test_operating",
    "test_quotes",
    "test_reading",
    "test_simulation",
    "test_submitting",
    "test_token_requests",
    "test_tokens",
    "test_who_may_read",
    "test_windows",
)
ALWAYS_MODULES = {
    "test_answers",
    "test_governance",
    "test_hostile_requests",
    "test_log_files",
    "test_tokens",
    "test_windows",
}
_INSIDE = "it reaches into the process that answers"
_WIRE = "the client's own library sends nothing like it over a socket"
LEFT_OUT = {
    "test_a_fault_of_ours_is_logged_and_tells_nothing": _INSIDE,
    "test_a_node_that_stops_lives_and_is_not_ready": _INSIDE,
    "test_any_other_fault_is_ours_too_and_stops_nothing": _INSIDE,
    "test_two_apps_in_one_process_do_not_share_figures": _INSIDE,
    "test_strange_headers_change_nothing_but_the_length_they_lie_about": _WIRE,
    "test_what_strangers_send_makes_no_new_figures": _WIRE,
    "test_spoiled_headers_get_no_token": _WIRE,
    "test_two_authorizations_are_none": _WIRE,
}
SLOW = {
    "test_no_bytes_at_all_make_a_fault",
    "test_no_change_to_a_good_transactions_bytes_makes_a_fault_or_goes_through",
    "test_pages_make_up_the_whole",
}
ALWAYS = {
    "test_a_revoked_key_gets_no_token_and_takes_its_tokens_with_it",
    "test_an_answer_proves_itself",
    "test_in_a_crowd_everybody_hears_their_own_answer",
    "test_a_full_queue_takes_nothing_and_says_when_to_come_again",
}


def _wants_its_own_node(test: object) -> bool:
    return bool({"desk", "tmp_path"} & inspect.signature(test).parameters.keys())  # type: ignore[arg-type]


for module in MODULES:
    for name, value in vars(load_again(module, LinkedDesk)).items():
        if name.startswith("test_") and name not in LEFT_OUT:
            assert name not in globals(), name
            is_short = module in ALWAYS_MODULES and not _wants_its_own_node(value) and name not in SLOW
            is_long = not is_short and name not in ALWAYS
            globals()[name] = pytest.mark.full(value) if is_long else value
        elif hasattr(value, "_fixture_function_marker") or hasattr(value, "_get_wrapped_function"):
            globals()[name] = value
