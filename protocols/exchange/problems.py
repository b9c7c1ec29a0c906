"""The codes an item of a batch may be answered with, and which of them are worth another try.

A *final* code appears only inside a signed receipt item; the sender then stops. A *retryable* code
is never signed and never stored as an outcome (R8, R13): the sender keeps the same bytes and tries
again. Sentences and next steps are in the catalogue (``schemas/data/catalogue/exchange.json``).
"""

from __future__ import annotations

from enum import StrEnum

from schemas.errors import PROBLEM_TYPE


class Problem(StrEnum):
    """One item's outcome other than stored or held."""

    MALFORMED = "manifest_malformed"
    VERSION_UNSUPPORTED = "version_unsupported"
    WRONG_SENDER = "wrong_sender"
    NOT_AUTHORISED = "not_authorised"
    BAD_SIGNATURE = "bad_signature"
    KEY_COMPROMISED = "key_compromised"
    WRONG_NETWORK = "wrong_network"
    WRONG_RECIPIENT = "wrong_recipient"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "body_too_large"
    DIGEST_MISMATCH = "digest_mismatch"
    EXPIRED = "message_expired"
    CONFLICT = "id_conflict"
    FORK = "stream_fork"
    VOIDED = "sequence_voided"
    NOT_A_GAP = "not_a_gap"
    UNKNOWN_KEY = "unknown_key"
    MEMBERS_BEHIND = "members_behind"
    CLOCK_SKEW = "clock_skew"
    TOO_FAR_AHEAD = "too_far_ahead"
    PEER_PAUSED = "peer_paused"
    INTERNAL = "internal"

    @property
    def retryable(self) -> bool:
        """Whether the same bytes may yet be stored (R8): then the outcome is never signed."""
        return self in _RETRYABLE

    @property
    def signable(self) -> bool:
        """Whether the receiver may put this outcome into a signed receipt.

        Not for an item whose manifest could not be read (it has no identity), and not for one
        that names another sender than the caller: receipts go to `from` only (R12).
        """
        return not self.retryable and self not in _UNSIGNED

    @property
    def urn(self) -> str:
        """The problem type of RFC 9457."""
        return PROBLEM_TYPE + self.value


_RETRYABLE = frozenset(
    {
        Problem.UNKNOWN_KEY,
        Problem.MEMBERS_BEHIND,
        Problem.CLOCK_SKEW,
        Problem.TOO_FAR_AHEAD,
        Problem.PEER_PAUSED,
        Problem.INTERNAL,
    }
)
_UNSIGNED = frozenset({Problem.MALFORMED, Problem.VERSION_UNSUPPORTED, Problem.WRONG_SENDER})


def problem_of(code: str) -> Problem | None:
    """The problem with that code; None for a code of a later version."""
    try:
        return Problem(code)
    except ValueError:
        return None
