"""Which containers the papers of a consignment name, as far as they are held here.

A transport document in force names them all. Where none is here, a node cannot know: it may tell
what happened, and is warned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import documents
from protocols.release.reading import EVENT, TRANSPORT_TYPES
from schemas import registry
from schemas.errors import RefusedError, TradeError
from schemas.findings import Finding, Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument

_GENUINE = (None, Outcome.PASSED.value)
MAX_SHOWN = 5


def of_papers(stored: Sequence[StoredDocument]) -> tuple[dict[str, None], bool]:
    """The containers that papers name, each once, and whether they are all there are.

    They are all when a transport document in force names containers.
    """
    found: dict[str, None] = {}
    whole = False
    for each in stored:
        if each.type == EVENT:
            continue
        try:
            named = registry.examine(each.type, each.payload).view.containers
        except TradeError:
            continue  # what cannot be read names nothing
        found |= dict.fromkeys(named)
        in_force = each.verdict in _GENUINE and each.revoked_at is None
        whole = whole or (bool(named) and in_force and each.type in TRANSPORT_TYPES)
    return found, whole


def require_named(conn: Connection, ucr: str, told: Sequence[str]) -> tuple[Finding, ...]:
    """TEL-001 for containers that no paper here names, while the papers may not be whole.

    Raises RefusedError `container_not_of_consignment` where they are.
    """
    if not told:
        return ()
    named, whole = of_papers(documents.find_all(conn, consignment=ucr))
    strange = [each for each in told if each not in named]
    if not strange:
        return ()
    shown = ", ".join(each[:20] for each in strange[:MAX_SHOWN])
    if whole:
        raise RefusedError("container_not_of_consignment", shown, pointer="/containers")
    message = "no paper of the consignment that is here names the container"
    values = {"containers": strange[:MAX_SHOWN]}
    return (Finding("TEL-001", Severity.WARNING, "/containers", message, values),)
