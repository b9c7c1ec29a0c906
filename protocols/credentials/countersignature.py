"""A second signature over a document, by another algorithm: ML-DSA-65 beside the issuer's own.

Should the first algorithm fall, documents that carry both still stand (RFC 9964; BSI TR-02102-1
asks for such hybrids). It is a compact JWS of its own typ over network and document digest (R1,
R2), and stands in the document file after the credential, behind one space, where neither a
credential nor an SD-JWT can have one. Whether it is needed says the member list, not the file:
else whoever takes it away would not be noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import jws
from protocols.keys import ML_DSA_65
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.jws import Jws
    from protocols.keys import PublicKey, Signer

TYP = "px-countersignature+jws"
ALGORITHMS = frozenset({ML_DSA_65})
MAX_BYTES = 8 * 1024
_SPACE = b" "


def payload(network: bytes, document: bytes) -> bytes:
    """What is signed: network id and document digest, RFC 8785."""
    return strict_json.canonical({"v": 1, "network": network.hex(), "document": document.hex()})


def sign(network: bytes, document: bytes, signer: Signer) -> str:
    """The countersignature; raises RefusedError `countersignature_algorithm`."""
    if signer.algorithm not in ALGORITHMS:
        raise RefusedError("countersignature_algorithm", "a countersignature is ML-DSA-65")
    return jws.sign(payload(network, document), typ=TYP, signer=signer)


def parse(text: str, *, network: bytes, document: bytes) -> Jws:
    """A countersignature over that document, its signature not yet verified.

    Raises as `jws.parse`, and RefusedError `countersignature_other_document`.
    """
    parsed = jws.parse(text, typ=TYP, max_bytes=MAX_BYTES)
    if parsed.payload != payload(network, document):
        raise RefusedError("countersignature_other_document", "it is over another document")
    return parsed


def verify(parsed: Jws, key: PublicKey) -> None:
    """Check it with the issuer's key.

    Raises RefusedError `countersignature_algorithm`, `jws_algorithm_mismatch`, `bad_signature`.
    """
    if key.algorithm not in ALGORITHMS:
        raise RefusedError("countersignature_algorithm", "a countersignature is ML-DSA-65")
    jws.verify(parsed, key)


def split(data: bytes) -> tuple[bytes, str]:
    """A document file without its countersignature, and that ("" where there is none).

    Raises MalformedError `countersignature_malformed`.
    """
    line, feed, rest = data.partition(b"\n")
    text, found = split_line(line)
    return (text + feed + rest if found else data), found


def split_line(line: bytes) -> tuple[bytes, str]:
    """The first line of a document file, taken apart as by `split`."""
    text, space, second = line.partition(_SPACE)
    if not space:
        return line, ""
    if not 0 < len(second) <= MAX_BYTES or not second.isascii():
        raise MalformedError("countersignature_malformed", "what follows the space is none")
    return text, second.decode("ascii")


def behind(data: bytes, place: int) -> str:
    """The countersignature in a file that `split` took, where the credential ends at `place`."""
    if data[place : place + 1] != _SPACE:
        return ""
    return data[place + 1 :].partition(b"\n")[0].decode("ascii")


def join(data: bytes, text: str) -> bytes:
    """The file with its countersignature; the inverse of `split`."""
    line, feed, rest = data.partition(b"\n")
    return line + _SPACE + text.encode("ascii") + feed + rest if text else data
