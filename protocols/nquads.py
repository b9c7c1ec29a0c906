"""Canonical N-Quads as they come back from canonicalisation (RDF Dataset Canonicalization 1.0 §5).

What the canonicaliser's library let pass is looked at again here: it accepts IRIs that are none
and words that no context defines. Both would make a signature cover something else than the
reader reads: the first is refused, the second is data loss (vc-data-integrity §5.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.jsonld import ABSOLUTE, DATA_LOSS
from schemas.errors import RefusedError

TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_BLANK = r"_:[A-Za-z0-9_][A-Za-z0-9_.-]*"
_IRI = r"<[^\n]*?>"
_LITERAL = r'"(?:[^"\\\n\r]|\\[tbnrf"\\]|\\u[0-9A-F]{4}|\\U[0-9A-F]{8})*"'
_TAG = r"@[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*"
_QUAD = re.compile(
    rf"(?P<subject>{_IRI}|{_BLANK}) (?P<predicate>{_IRI}) "
    rf"(?P<object>{_IRI}|{_BLANK}|{_LITERAL}(?:\^\^(?P<datatype>{_IRI})|{_TAG})?)"
    rf"(?: (?P<graph>{_IRI}|{_BLANK}))? \."
)


@dataclass(frozen=True, slots=True)
class Quad:
    """One statement; terms as they are written: `<iri>`, `_:blank`, `"literal"…`; graph or ''."""

    subject: str
    predicate: str
    object: str
    graph: str


def read(data: bytes) -> tuple[Quad, ...]:
    """The statements, each looked at; RefusedError `data_loss_detection_error`.

    Every IRI is absolute and well-formed: a relative one is a word that no context defines, and
    what is no IRI at all another reader would drop.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(DATA_LOSS, "the statements are not UTF-8") from None
    return tuple(map(_quad, text.split("\n")[:-1]))


def _quad(line: str) -> Quad:
    found = _QUAD.fullmatch(line)
    if found is None:
        raise RefusedError(DATA_LOSS, f"not a statement of RDF 1.1: {line[:100]}")
    terms = found.groupdict("")
    for term in terms.values():
        if term.startswith("<") and not ABSOLUTE.fullmatch(term[1:-1]):
            raise RefusedError(DATA_LOSS, f"no context defines {term[1:-1][:100]!r}")
    return Quad(terms["subject"], terms["predicate"], terms["object"], terms["graph"])


def iri(text: str) -> str:
    """As N-Quads write an IRI."""
    return f"<{text}>"


def lexical(term: str) -> str | None:
    """The text of a literal that needed no escape; None for anything else."""
    found = re.match(_LITERAL, term)
    if found is None or "\\" in found.group():
        return None
    return found.group()[1:-1]
