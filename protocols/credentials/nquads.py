"""Canonical N-Quads as they come back from canonicalisation (RDF Dataset Canonicalization 1.0 §5).

What the canonicaliser's library let pass is looked at again here: it accepts IRIs that are none
and words that no context defines. Both would make a signature cover something else than the
reader reads: the first is refused, the second is data loss (vc-data-integrity §5.2).
"""

from __future__ import annotations

import re

from protocols.credentials.jsonld import ABSOLUTE, DATA_LOSS
from schemas.errors import RefusedError

_BLANK = r"_:[A-Za-z0-9_][A-Za-z0-9_.-]*"
_IRI = r"<[^\n]*?>"
_LITERAL = r'"(?:[^"\\\n\r]|\\[tbnrf"\\]|\\u[0-9A-F]{4}|\\U[0-9A-F]{8})*"'
_TAG = r"@[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*"
_QUAD = re.compile(
    rf"(?P<subject>{_IRI}|{_BLANK}) (?P<predicate>{_IRI}) "
    rf"(?P<object>{_IRI}|{_BLANK}|{_LITERAL}(?:\^\^(?P<datatype>{_IRI})|{_TAG})?)"
    rf"(?: (?P<graph>{_IRI}|{_BLANK}))? \."
)


def require_whole(data: bytes) -> None:
    """Raises RefusedError `data_loss_detection_error` unless every statement is one of RDF 1.1.

    Every IRI is absolute and well-formed: a relative one is a word that no context defines, and
    what is no IRI at all another reader would drop.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(DATA_LOSS, "the statements are not UTF-8") from None
    for line in text.split("\n")[:-1]:
        found = _QUAD.fullmatch(line)
        if found is None:
            raise RefusedError(DATA_LOSS, f"not a statement of RDF 1.1: {line[:100]!r}")
        for term in found.groupdict("").values():
            if term.startswith("<") and not ABSOLUTE.fullmatch(term[1:-1]):
                raise RefusedError(DATA_LOSS, f"no context defines {term[1:-1][:100]!r}")
