"""What a receiving platform refuses, with the signed code that says so (PINT responseCode)."""

from __future__ import annotations

from protocols.pint.words import Response
from schemas.errors import RefusedError


class EnvelopeRefusedError(RefusedError):
    """A request that gets a signed answer. response: BSIG, BENV, INCD, MDOC or DISE.

    What cannot be attributed to an envelope at all is a MalformedError instead, answered unsigned.
    """

    def __init__(self, response: Response, code: str, detail: str, *, pointer: str = "") -> None:
        super().__init__(code, detail, pointer=pointer)
        self.response = response


def bad_signature(code: str, detail: str) -> EnvelopeRefusedError:
    """BSIG: it cannot be told who signed; that says nothing of the content (PINT 3.0.0)."""
    return EnvelopeRefusedError(Response.BSIG, code, detail)
