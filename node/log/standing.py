"""What is told of the node's log: to people, to `/readyz`, and as a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger import checkpoints, forks, log, recovery
from node.log.cosigner_keys import key_texts
from protocols.log import policy as log_policy
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from ledger.checkpoints import StoredCheckpoint
    from node.log.service import LogService
    from protocols.log.policy import Policy


def trouble(service: LogService) -> str | None:
    """Why nothing new is witnessed just now, as a code; None when all is well.

    A minority of a divided network stops here: it signs nothing before partners have confirmed
    the last state, and nothing that it signs is witnessed without a quorum (R15, R21).
    """
    if service.fault is not None:
        return service.fault.code
    if service.publisher is None or service.policy.quorum == log_policy.NONE:
        return None
    if not service.confirmed:
        return "log_not_confirmed"
    return "log_quorum_unreachable" if service.lacks_quorum else None


def notice(service: LogService) -> str | None:
    """The same in words, for `/readyz`; the node still does all its other work."""
    code = trouble(service)
    return None if code is None or service.fault is not None else str(UnavailableError(code))


async def show(service: LogService) -> dict[str, Any]:
    """The log at a glance."""
    read, publisher = service.node.store.read, service.publisher
    marked, frozen = await read(forks.marks), await read(recovery.all_frozen)
    return {
        "origin": service.origin,
        "vkey": publisher.identity.key.to_text() if publisher else None,
        "leaves": await read(log.size),
        "signed": _head(await read(checkpoints.newest, signed=True)),
        "witnessed": _head(await read(checkpoints.newest, witnessed=True)),
        "confirmed": service.confirmed,
        "trouble": trouble(service),
        "policy": _policy_json(service.policy),
        "handOver": service.handing_over.standing(),
        "witnesses": service.gatherer.standing() if service.gatherer else [],
        "mirrors": service.mirrors.standing() if service.mirrors else [],
        "keys": key_texts(service.node.keys),
        "marked": [{"did": mark.did, "code": mark.code, "at": mark.at} for mark in marked],
        "listed": _listed(service),
        "frozen": [
            {"origin": one.origin, "size": one.size, "reason": one.reason, "at": one.at}
            for one in frozen
        ],
        "recovery": service.recovering.standing() if service.fault else None,
        "fault": None if service.fault is None else service.fault.problem(),
    }


def _listed(service: LogService) -> list[dict[str, Any]]:
    """Every member with its name and its newest listed log, which commands are given by name."""
    members = service.node.members.current
    return [
        {
            "did": node.did,
            "name": node.name,
            "origin": next((log.origin for log in members.logs_of(node.did)[::-1]), None),
        }
        for node in (members.nodes if members else ())
        if members is not None
    ]


def _head(stored: StoredCheckpoint | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {"size": stored.size, "root": stored.root.hex(), "at": stored.intended_at}


def _policy_json(policy: Policy) -> dict[str, Any]:
    return {"quorum": policy.smallest_quorum(), "witnesses": len(policy.witnesses)}
