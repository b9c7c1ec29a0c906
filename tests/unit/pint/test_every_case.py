"""Which test tries which case of PINT 3.0.0 and of DCSA's toolkit: none is without one.

Response codes, retries, actions, registries, then what the standard leaves open (A…) and where the
toolkit differs (C…), numbered as in docs/dcsa-notes.md, then what hostile hands do.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHECKS = "unit/pint/test_checks.py"
SIGNATURES, CHAINS, KNOWN, ANYTHING = (
    f"unit/pint/test_checks_{name}.py" for name in ("signatures", "chain", "known", "any")
)
RULES, ANSWERS, ISSUANCE = (
    f"unit/pint/test_{name}.py" for name in ("rules", "answers", "issuance")
)
OPEN, KEYS = "unit/pint/test_left_open.py", "unit/pint/test_signatures.py"
BETA, SWITCHES = "unit/interop/test_pint_beta.py", "unit/ebl/test_switches.py"
RECEIVING, TITLES = (
    f"integration/pint/test_{name}.py" for name in ("receiving", "receiving_titles")
)
SIZES, FAULTS = (
    f"integration/pint/test_{name}.py" for name in ("receiving_sizes", "sending_faults")
)
KINDS, HISTORIES = (f"integration/pint/test_{name}.py" for name in ("sending_kinds", "histories"))
STATES, TOOLKIT = "unit/pint/test_tracking_state.py", "integration/pint/test_switches.py"
VARIANTS = "integration/pint/test_receiving_variants.py"
REGISTER = "integration/tracking/test_register.py"

ONE_BY_ONE = f"{RECEIVING}::test_documents_arrive_one_by_one_and_the_end_is_told_again_as_it_was"
REPEATED = f"{RECEIVING}::test_a_bill_is_received_and_every_repetition_gets_the_accepted_entry"
AFTER_REFUSAL = f"{RECEIVING}::test_after_each_refusal_the_right_envelope_is_accepted"
SIGNED_AGAIN = f"{KNOWN}::test_an_entry_signed_again_is_a_duplicate_even_under_a_manifest_of_before"
UNFORESEEN = f"{HISTORIES}::test_no_random_history_over_three_platforms_holds_a_title_twice"

CASES = {
    # Response codes.
    "RECE": (REPEATED, f"{CHECKS}::test_a_right_envelope_passes_every_step"),
    "RECE at the start only with all documents here": (
        f"{RECEIVING}::test_the_last_document_makes_a_retried_start_the_end",
        f"{CHECKS}::test_documents_are_counted_down_to_acceptance",
    ),
    "DUPE": (
        f"{KNOWN}::test_the_same_envelope_again_is_a_duplicate_of_what_was_accepted",
        f"{ANSWERS}::test_a_duplicate_counts_when_it_names_what_was_sent",
    ),
    "BSIG": (
        f"{SIGNATURES}::test_what_is_no_signature_is_bsig",
        f"{SIGNATURES}::test_a_bad_signature_poisons_nothing",
    ),
    "BENV": (
        f"{CHECKS}::test_an_unknown_recipient_is_refused_and_nothing_is_poisoned",
        f"{SIGNATURES}::test_a_signed_entry_that_is_no_entry_is_benv",
    ),
    "INCD": (
        f"{RECEIVING}::test_a_wrong_document_is_inconclusive_and_ends_nothing",
        f"{RECEIVING}::test_a_transfer_goes_on_under_another_manifest",
        f"{FAULTS}::test_documents_that_were_damaged_or_lost_on_the_way_go_again",
    ),
    "MDOC": (ONE_BY_ONE,),
    "DISE": (
        f"{RECEIVING}::test_an_altered_chain_is_disputed_and_the_bill_stays",
        f"{KNOWN}::test_a_chain_that_leaves_out_what_is_known_is_disputed",
    ),
    "each code has its own members": (
        f"{ANSWERS}::test_each_code_has_the_members_that_belong_to_it",
    ),
    "the signed code beats the HTTP status": (
        f"{ANSWERS}::test_the_signed_code_decides_whatever_the_http_status",
    ),
    "the registry beats the signed code": (
        f"{FAULTS}::test_r21_a_receipt_that_the_arbiter_does_not_confirm_moves_no_bill",
        f"{TITLES}::test_a_bill_issued_to_a_party_here_is_received_and_a_false_end_is_not_believed",
    ),
    "unsigned leaves the outcome unknown": (
        f"{ANSWERS}::test_r13_what_is_not_signed_by_the_receiver_about_this_envelope_decides_nothing",
        f"{FAULTS}::test_r13_what_is_not_signed_decides_nothing_and_lost_answers_cost_only_time",
    ),
    # Retries.
    "an active transfer is retried and documents stay received": (ONE_BY_ONE,),
    "signed again with the same payload": (SIGNED_AGAIN, REPEATED),
    "altered payload": (
        f"{KNOWN}::test_an_altered_entry_is_disputed_even_under_a_manifest_of_before",
    ),
    "BSIG and BENV poison nothing": (AFTER_REFUSAL,),
    "the carrier's picture goes along unchanged": (
        f"{CHAINS}::test_the_carriers_visualisation_goes_along_unchanged",
    ),
    "supporting documents are between two platforms": (
        f"{RECEIVING}::test_r12_documents_of_one_platform_are_not_told_to_another",
    ),
    "two at once": (f"{RECEIVING}::test_two_at_once_are_one_receipt_and_one_duplicate",),
    # Actions and actors.
    "ISSUE once and first": (f"{RULES}::test_issue_is_first_and_once",),
    "TRANSFER": (f"{RULES}::test_possession_goes_to_another_party_and_never_to_the_carrier",),
    "ENDORSE in full is the last": (f"{RULES}::test_a_bill_endorsed_in_full_is_not_endorsed_on",),
    "ENDORSE_TO_ORDER and BLANK_ENDORSE": (
        f"{RULES}::test_endorsing_takes_possession_and_the_title",
    ),
    "endorsements and SACC only notify": (
        f"{RECEIVING}::test_a_notice_of_an_endorsement_moves_no_possession",
        f"{KNOWN}::test_a_notice_then_the_transfer_are_two_envelopes_of_one_chain",
    ),
    "SIGN": (
        f"{RULES}::test_within_a_platform_possession_may_pass_unrecorded_but_not_under_a_registry",
    ),
    "surrender by who may": (f"{RULES}::test_only_who_may_claim_surrenders_for_delivery",),
    "a surrendered bill is frozen": (
        f"{RULES}::test_a_surrendered_bill_waits_for_the_carriers_answer",
    ),
    "SREJ gives it back": (f"{RULES}::test_a_rejected_surrender_gives_the_bill_back",),
    "amended bills begin a new chain": (
        f"{KINDS}::test_an_amended_bill_is_issued_anew_and_both_are_linked",
        "unit/pint/test_tracking.py::test_an_ended_bill_may_be_issued_again_with_a_chain_of_its_own",
    ),
    # Control tracking registries.
    "the registry is named in the first entry": (
        f"{CHAINS}::test_a_registry_named_later_is_refused",
        f"{CHECKS}::test_r19_a_chain_that_names_no_listed_registry_is_refused",
    ),
    "what is not recorded is refused": (
        f"{TITLES}::test_r20_a_bill_is_received_only_once_it_was_offered_and_is_then_the_recipients",
        f"{STATES}::test_r19_a_bill_never_leaves_a_platform_but_by_its_own_and_the_receivers_word",
    ),
    "a record is taken upon the head only": (
        f"{REGISTER}::test_of_two_acceptances_and_two_intents_at_once_one_wins",
    ),
    "disputes are recorded and resolved": (
        f"{REGISTER}::test_a_dispute_stops_a_bill_until_it_is_resolved",
    ),
    "a sender cancels alone": (
        f"{FAULTS}::test_r20_an_offer_nobody_answers_is_cancelled_when_it_expires",
    ),
    # What the standard leaves open.
    "A1": (
        f"{OPEN}::test_a1_a_document_is_hashed_in_the_form_of_rfc_8785",
        f"{CHAINS}::test_the_order_of_lines_and_unknown_members_belong_to_the_document",
    ),
    "A2": (f"{RECEIVING}::test_an_altered_chain_is_disputed_and_the_bill_stays",),
    "A3": (
        f"{CHECKS}::test_a_document_that_breaks_its_schema_is_answered_unsigned",
        f"{RECEIVING}::test_what_is_no_envelope_gets_the_standards_unsigned_error",
    ),
    "A4": (f"{OPEN}::test_a4_a_picture_named_in_an_entry_is_read_nowhere",),
    "A5": (f"{OPEN}::test_a5_an_additional_document_is_hashed_as_bytes",),
    "A6": (
        f"{SIZES}::test_a6_documents_come_in_json_alone_and_a11_no_operation_is_called_options",
    ),
    "A7": (f"{RECEIVING}::test_what_is_no_envelope_gets_the_standards_unsigned_error",),
    "A8": (
        f"{RULES}::test_actor_recipient_and_reason_fit_the_action",
        f"{ISSUANCE}::test_a_surrender_is_asked_with_the_chain_and_the_no_party",
    ),
    "A9": (f"{RULES}::test_the_vocabularies_map_onto_each_other",),
    "A10": (
        f"{OPEN}::test_a10_c5_whom_it_was_issued_to_is_a_checksum_that_no_receiver_can_verify",
        f"{ISSUANCE}::test_an_issuance_request_is_read_as_written_and_its_checksums_hold",
    ),
    "A11": (
        f"{SIZES}::test_a6_documents_come_in_json_alone_and_a11_no_operation_is_called_options",
    ),
    "A12": (
        f"{SIGNATURES}::test_r7_an_unknown_platform_anywhere_in_the_chain_refuses_the_envelope",
        f"{KEYS}::test_a_platform_that_is_listed_nowhere_is_none",
    ),
    "A13": (f"{OPEN}::test_a13_the_last_transaction_of_the_last_entry_says_who_receives",),
    "A14": (f"{OPEN}::test_a14_an_entry_that_ends_with_a_deed_for_nobody_is_for_no_platform",),
    "A15": (ONE_BY_ONE,),
    # Where the toolkit differs.
    "C1": (f"{BETA}::test_the_toolkits_chains_are_taken_and_repeated_as_the_standard_says",),
    "C2": (
        f"{BETA}::test_issue_is_still_first_and_once",
        f"{BETA}::test_by_the_letter_of_the_standard_they_are_refused",
    ),
    "C3": (
        SIGNED_AGAIN,
        f"{KNOWN}::test_an_altered_entry_is_disputed_even_under_a_manifest_of_before",
    ),
    "C4": (f"{SWITCHES}::test_listed_platforms_keep_their_keys_and_no_other_gets_the_told_ones",),
    "C5": (f"{OPEN}::test_a10_c5_whom_it_was_issued_to_is_a_checksum_that_no_receiver_can_verify",),
    "C6": (f"{TOOLKIT}::test_what_was_told_is_shown_and_a_reset_forgets_bills_and_no_accounts",),
    "C7": (f"{OPEN}::test_c7_a_word_that_the_standard_does_not_have_decides_nothing",),
    "C8": (f"{KEYS}::test_a_certificate_exchanged_out_of_band_is_an_anchor_itself",),
    "C9": (f"{KEYS}::test_a_signature_without_kid_is_tried_with_the_platforms_keys_only",),
    "an empty reasonCode, a reference too long": (
        f"{ISSUANCE}::test_a_surrender_request_that_cannot_be_is_refused",
    ),
    # Hostile hands.
    "wrong-hop signature": (
        f"{SIGNATURES}::test_r7_each_entry_is_verified_against_the_platform_of_that_entry",
        f"{OPEN}::test_a_middle_entry_by_the_key_of_another_hop_is_bsig",
    ),
    "swapped last entry": (
        f"{CHAINS}::test_a_last_entry_swapped_in_from_another_envelope_is_bsig",
    ),
    "stale manifest": (AFTER_REFUSAL,),
    "chain cut": (
        f"{CHAINS}::test_a_chain_without_its_beginning_is_refused",
        f"{OPEN}::test_a_middle_entry_that_was_cut_out_is_benv",
    ),
    "chain grafted": (f"{CHAINS}::test_a_grafted_chain_is_refused",),
    "chain re-ordered": (f"{CHAINS}::test_a_chain_in_another_order_is_refused",),
    "transfer after SACC": (
        f"{OPEN}::test_nothing_is_received_after_sacc",
        f"{RULES}::test_after_sacc_nothing_is_possible",
    ),
    "endorsement of a straight bill": (
        f"{RULES}::test_a_straight_bill_is_never_endorsed",
        f"{KINDS}::test_a_straight_bill_goes_to_its_consignee_only_and_is_never_endorsed",
    ),
    "surrender to a stranger": (f"{RULES}::test_a_surrender_to_a_stranger_is_refused",),
    "duplicated JSON names": (
        f"{SIZES}::test_what_two_readers_may_read_differently_is_no_envelope",
        f"{CHECKS}::test_what_is_no_envelope_is_answered_unsigned",
    ),
    "integers beyond 2^53": (
        f"{SIZES}::test_what_two_readers_may_read_differently_is_no_envelope",
        f"{CHECKS}::test_what_is_no_envelope_is_answered_unsigned",
    ),
    "50 kB of terms, a PDF of 5 MB": (
        f"{SIZES}::test_fifty_thousand_characters_of_terms_and_a_pdf_of_five_megabytes_are_received",
    ),
    "anything altered": (
        f"{ANYTHING}::test_an_altered_chain_is_never_ready",
        f"{VARIANTS}::test_no_altered_envelope_is_accepted_or_stands_in_the_right_ones_way",
        UNFORESEEN,
    ),
}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    found = (one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in found)


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_its_tests(case: str) -> None:
    for place in CASES[case]:
        file, _, name = place.partition("::")
        assert name.startswith("test_")
        assert name in functions(file), place


def test_every_numbered_decision_is_tried() -> None:
    notes = (ROOT / "docs" / "dcsa-notes.md").read_text("utf-8")
    for number in (*(f"A{n}" for n in range(1, 16)), *(f"C{n}" for n in range(1, 10))):
        assert number in CASES
        assert f"| {number} |" in notes, number
