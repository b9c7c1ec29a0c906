"""`pratique evidence verify` of a file that proves a fork: of a log, a registry, a title, a list.

Nothing in such a file is believed for itself; keys come from the member list held here (R5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.cli import output
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from protocols.member_list import MemberList


def show(data: bytes, versions: Sequence[MemberList], *, as_json: bool) -> None:
    """Verify the file and print what it proves.

    versions: of the member list, verified, the last one in force. Raises RefusedError
    `equivocation_not_proven`, `title_not_contradicted`, `member_list_fork_not_proven` and what
    reading the file raises.
    """
    from protocols.members import export
    from protocols.title import fork
    from schemas import strict_json

    told = strict_json.loads_object(
        data, max_bytes=export.MAX_BYTES, max_members=export.MAX_MEMBERS
    )
    if "lists" in told:
        what, body = _of_lists(data, versions)
    elif told.get("type") == fork.TYPE:
        what, body = _of_title(data, versions[-1])
    else:
        what, body = _of_log(data, versions[-1])
    body = {"proven": True, **body}
    if as_json:
        output.print_json(body)
    else:
        output.line(f"PROVEN: {what}")
        output.pairs("Fork", [(name, str(value)) for name, value in body.items()])


def _of_log(data: bytes, members: MemberList) -> tuple[str, dict[str, Any]]:
    from protocols.log import fork_evidence, note

    evidence = fork_evidence.parse(data)
    entry = members.log(evidence.origin) or members.registry(evidence.origin)
    if entry is None or evidence.network != members.network:
        raise RefusedError("equivocation_not_proven", "the member list does not name that log")
    found = evidence.prove(note.parse_vkey(entry.vkey))
    body = {
        "origin": evidence.origin,
        "did": entry.did,
        "digest": evidence.digest.hex(),
        "sizes": [found.smaller.size, found.larger.size],
        "roots": [found.smaller.root.hex(), found.larger.root.hex()],
    }
    return f"{entry.did} signed two histories of {evidence.origin}", body


def _of_title(data: bytes, members: MemberList) -> tuple[str, dict[str, Any]]:
    from protocols.title import fork

    evidence = fork.read(data)
    evidence.prove(members)
    sides = (evidence.first, evidence.second)
    body = {
        "title": evidence.title.hex(),
        "digest": evidence.digest.hex(),
        "arbiters": [side.arbiter.hex() for side in sides],
        "operations": [len(side.operations) for side in sides],
        "heads": [side.proof.state.head.hex() for side in sides],
    }
    return f"quorums cosigned two histories of title {evidence.title.hex()}", body


def _of_lists(data: bytes, versions: Sequence[MemberList]) -> tuple[str, dict[str, Any]]:
    from protocols.members import forks

    found = forks.prove(data, versions)
    body = {
        "version": found.version,
        "digests": [digest.hex() for digest in found.digests],
        "signedBoth": list(found.signed_both),
    }
    return f"the roots signed two lists of version {found.version}", body
