"""One envelope to one platform: start, additional documents, finish, until something is signed.

What ends here ends one try. Documents that arrived damaged (INCD) or are still missed (MDOC) are
sent again within the same try; whatever is not signed leaves the outcome unknown (R13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.pint.answers import Decided, DocumentTaken, Started, Unknown
from protocols.pint.words import UNFINISHED, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.pint.client import PlatformClient, Question
    from protocols.pint.answers import Answer

ROUNDS = 3
"""How often documents are sent anew within one try."""


async def deliver(
    client: PlatformClient, asked: Question, envelope: bytes, documents: Mapping[bytes, bytes]
) -> Decided | Unknown:
    """What the other platform says of an envelope: decided for good, or unknown.

    documents: all that the manifest announces, by checksum
    """
    answer = await client.start(asked, envelope)
    if isinstance(answer, Started):
        started = answer.started
        answer = await _complete(client, asked, started.reference, started.missing, documents)
    return _word(answer)


def _word(answer: Answer) -> Decided | Unknown:
    if isinstance(answer, Unknown):
        return answer
    if isinstance(answer, Decided) and answer.finished.response not in UNFINISHED:
        return answer
    # INCD and MDOC end nothing: the transfer stays active and is tried again.
    code = answer.finished.response.value if isinstance(answer, Decided) else "unsigned"
    return Unknown(0, f"unfinished: {code}")


async def _complete(
    client: PlatformClient,
    asked: Question,
    reference: str,
    missing: Sequence[bytes],
    documents: Mapping[bytes, bytes],
) -> Answer:
    answer: Answer = Unknown(0, "nothing was sent")
    for _ in range(ROUNDS):
        for checksum in missing:
            answer = await _put(client, asked, reference, checksum, documents)
            if not isinstance(answer, DocumentTaken):
                return answer
        answer = await client.finish(asked, reference)
        if not _misses(answer):
            return answer
        assert isinstance(answer, Decided)
        missing = answer.finished.missing or ()
    return answer


def _misses(answer: Answer) -> bool:
    return isinstance(answer, Decided) and answer.finished.response is Response.MDOC


async def _put(
    client: PlatformClient,
    asked: Question,
    reference: str,
    checksum: bytes,
    documents: Mapping[bytes, bytes],
) -> Answer:
    """One document, once more when it arrived damaged."""
    content = documents.get(checksum)
    if content is None:
        return Unknown(0, "a document was asked for that the manifest does not announce")
    answer = await client.put_document(asked, reference, checksum, content)
    if isinstance(answer, Decided) and answer.finished.response is Response.INCD:
        answer = await client.put_document(asked, reference, checksum, content)
    return answer
