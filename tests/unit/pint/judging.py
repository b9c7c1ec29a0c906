"""A receiving platform judges an envelope, and what it says of one that fails."""

from __future__ import annotations

from typing import Any

from protocols.pint.judgement import Judgement, Outcome
from protocols.pint.words import Action
from schemas.catalogue import explain
from schemas.findings import Outcome as Verdict
from tests.support import pint_world as w


def failed(judgement: Judgement) -> tuple[str, str, str]:
    """The step that failed, its code, and the signed code or 400."""
    (check,) = [one for one in judgement.checks if one.outcome is Verdict.FAILED]
    error = judgement.error
    answer = getattr(error, "response", None)
    assert error is not None
    assert explain(error.code) is not None, error.code
    assert judgement.outcome is (Outcome.REFUSED if answer else Outcome.MALFORMED)
    if answer:
        finished = judgement.finished()
        assert finished.response is answer
        assert finished.last == judgement.envelope.last_checksum
        assert finished.reason
    return check.id, check.code, answer.value if answer else "400"


def judged(data: bytes, platform: w.Platform | None = None, **changes: Any) -> tuple[str, str, str]:
    return failed((platform or w.Platform()).judge(data, **changes))


def two_hops() -> tuple[dict[str, Any], list[str]]:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    return document, w.chain_of(w.first(document), [onward])
