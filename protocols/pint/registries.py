"""Our title arbiters as control tracking registries: which base URI means which arbiter (R19).

PINT 3.0.0 names a registry by a base URI in the chain's first entry and never again. Ours is made
of where the registry's operator lives by its DID, which does not change, and of the arbiter's id;
the operator's listed address is taken as well. Registries on a chain have no operator: any member
may serve them, so each member's address names them. A URI is a key to be looked up (R7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.pint.tracking import parse_registry_uri
from protocols.title.registry import arbiter_of
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocols.members.entries import NodeEntry
    from protocols.members.trust import MemberList
    from protocols.pint.signed import Signed

ID_DIGITS = 16
#: Where the registry API is served: one base path for each arbiter.
BASE_PATH = "/ctr/{arbiter}/v1"
_WEB = "did:web:"


def base_path(arbiter: bytes) -> str:
    """The path of the base URI of that arbiter: `/ctr/<first 16 hex digits of its id>/v1`."""
    return BASE_PATH.format(arbiter=arbiter.hex()[:ID_DIGITS])


def registry_uris(members: MemberList) -> dict[str, bytes]:
    """Every base URI that means an arbiter of this network, with the arbiter's id."""
    found: dict[str, bytes] = {}
    for entry in members.registries:
        operator, arbiter = members.node(entry.did), arbiter_of(entry).id
        if operator is not None:
            found |= dict.fromkeys(_uris(operator, arbiter, members), arbiter)
    for chain in members.arbiters:
        for node in members.nodes:
            found |= dict.fromkeys(_uris(node, chain.id, members), chain.id)
    return found


def uri_of(members: MemberList, arbiter: bytes, preferred: str = "") -> str | None:
    """The base URI under which to name an arbiter; None for one that the list does not have.

    preferred: DID of the member that is to serve it, for registries on a chain
    """
    known = [uri for uri, named in registry_uris(members).items() if named == arbiter]
    node = members.node(preferred)
    own = set(_uris(node, arbiter, members)) if node is not None else set[str]()
    return next((uri for uri in known if uri in own), known[0] if known else None)


def _uris(node: NodeEntry, arbiter: bytes, members: MemberList) -> Iterator[str]:
    for address in (home_of(node.did), node.endpoint.rstrip("/")):
        uri = address + base_path(arbiter)
        try:
            parse_registry_uri(uri, test=members.test)
        except MalformedError:
            continue
        yield uri


def home_of(did: str) -> str:
    """Where a did:web lives: its host and path over TLS."""
    host, *path = did.removeprefix(_WEB).split(":")
    return "/".join((f"https://{host.replace('%3A', ':')}", *path))


def offered_entry(last: Signed) -> bytes:
    """What an OFFER at the arbiter names of a chain's last entry (R20): the digest of its payload.

    Of the payload and not of the text (R2): an entry that must be signed again after BSIG is still
    the one that was offered.
    """
    return last.payload_digest
