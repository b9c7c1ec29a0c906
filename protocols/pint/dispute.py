"""The evidence of a dispute: two signed chains of one bill side by side, verified offline.

PINT 3.0.0 has DISE for a chain that contradicts what the receiver knows, and no protocol for what
follows. The evidence holds both chains byte for byte, the refused envelope's manifest or the signed
refusal, and the bill's records where a register guards it. Nothing in it is believed for itself:
every entry is held against the platform that it names, under the verifier's own member list (R5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import times
from protocols.fields import Fields
from protocols.pint import history
from protocols.pint.chain import open_entry
from protocols.pint.history import Row
from protocols.pint.reading import PLATFORM, compact, optional_compact
from protocols.pint.tracking_proof import read_received, verify_records
from protocols.pint.tracking_state import MAX_RECORDS
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from protocols.member_list import MemberList
    from protocols.pint.chain import SignedEntry
    from protocols.pint.history import Place
    from protocols.pint.platforms import Keyring
    from protocols.pint.reading import Json
    from protocols.pint.tracking_proof import ReceivedRecord

CODE = "ebl_dispute_malformed"
NOT_PROVEN = "ebl_dispute_not_proven"
TYPE = "urn:pratique:ebl-dispute"
MAX_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 255


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dispute. platform: who showed `theirs` to `opener`; signed: the manifest or refusal.

    register: DID of the member that keeps the bill's records, "" without; records: from there
    title: the final state of the bill's title with proof and history, as nodes tell it, or nothing
    """

    network: bytes
    ebl: bytes
    opener: str
    platform: str
    at: datetime
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    signed: str | None = None
    register: str = ""
    records: tuple[ReceivedRecord, ...] = ()
    title: Json | None = None

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes."""
        body: Json = {
            "type": TYPE,
            "network": self.network.hex(),
            "eblID": self.ebl.hex(),
            "opener": self.opener,
            "platform": self.platform,
            "openedAt": times.to_text(self.at),
            "ours": list(self.ours),
            "theirs": list(self.theirs),
            "records": [item.to_json() for item in self.records],
        }
        body |= {"signed": self.signed} if self.signed else {}
        body |= {"title": self.title} if self.title is not None else {}
        return strict_json.canonical(body | ({"register": self.register} if self.register else {}))


def read(data: bytes) -> Evidence:
    """Evidence from its bytes; raises MalformedError `ebl_dispute_malformed` or json_*."""
    fields = Fields(strict_json.loads_object(data, max_bytes=MAX_BYTES), CODE)
    if fields.text("type") != TYPE:
        raise fields.fault("type", "this is no evidence of a dispute about a bill")
    return Evidence(
        network=fields.digest("network"),
        ebl=fields.digest("eblID"),
        opener=fields.text("opener", pattern=PLATFORM),
        platform=fields.text("platform", pattern=PLATFORM),
        at=fields.time("openedAt"),
        ours=_texts(fields, "ours"),
        theirs=_texts(fields, "theirs"),
        signed=optional_compact(fields, "signed"),
        register=fields.optional_text("register") or "",
        records=tuple(read_received(one) for one in fields.children("records", MAX_RECORDS)),
        title=_title(fields),
    )


def _title(fields: Fields) -> Json | None:
    """Read by whoever verifies it; here it is only an object."""
    if not fields.has("title"):
        return None
    whole: Json = strict_json.loads_object(
        strict_json.canonical(fields.child("title").members), max_bytes=MAX_BYTES
    )
    return whole


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.members.get(name)
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise fields.fault(name, f"{name} is a list of at most {MAX_ENTRIES} entries")
    items = Fields({str(at): item for at, item in enumerate(value)}, CODE, f"/{name}")
    return tuple(compact(items, str(at)) for at in range(len(value)))


@dataclass(frozen=True, slots=True)
class Proven:
    """What the evidence proves.

    places: both chains side by side; parted: the first place where they differ, None when one only
    goes on from the other; signed_both: platforms that signed different entries for one place
    recorded: which chain the register's last accepted entry stands in: ours, theirs, both, neither;
    "" without proven records
    """

    places: tuple[Place, ...]
    parted: int | None
    signed_both: tuple[str, ...]
    recorded: str = ""


def prove(evidence: Evidence, members: MemberList, keyring: Keyring) -> Proven:
    """Verify every signature and link of both chains, and the records.

    Raises RefusedError `ebl_dispute_not_proven`, `pint_platform_unknown`, and as
    `Signatory.verify`, `open_entry`, `verify_records`.
    """
    if evidence.network != members.network:
        raise RefusedError(NOT_PROVEN, "the evidence is of another network")
    ours = _verified(evidence.ours, evidence, keyring)
    theirs = _verified(evidence.theirs, evidence, keyring)
    return compare(ours, theirs, _recorded(evidence, members, keyring))


def _recorded(evidence: Evidence, members: MemberList, keyring: Keyring) -> bytes | None:
    if not evidence.records:
        return None
    proven = verify_records(evidence.records, evidence.ebl, members, keyring, evidence.register)
    return proven.state.control.last if proven is not None and proven.final else None


def compare(
    ours: Sequence[SignedEntry], theirs: Sequence[SignedEntry], recorded: bytes | None = None
) -> Proven:
    """Both chains side by side; their signatures are the caller's to verify."""
    places = history.side_by_side(ours, theirs)
    parted = next((one.index for one in places if one.row is Row.DIFFERENT), None)
    both = (
        one.left.entry.platform
        for one in places
        if one.row is Row.DIFFERENT and one.left and one.right
        if one.left.entry.platform == one.right.entry.platform
        and one.left.entry.previous == one.right.entry.previous
    )
    return Proven(places, parted, tuple(dict.fromkeys(both)), _stands(ours, theirs, recorded))


def _stands(
    ours: Sequence[SignedEntry], theirs: Sequence[SignedEntry], recorded: bytes | None
) -> str:
    if recorded is None:
        return ""
    return which(ours, theirs, lambda one: one.jws.checksum == recorded)


def which(
    ours: Sequence[SignedEntry],
    theirs: Sequence[SignedEntry],
    counts: Callable[[SignedEntry], bool],
) -> str:
    """In which of two chains an entry stands that counts: ours, theirs, both or neither."""
    mine, other = (any(map(counts, chain)) for chain in (ours, theirs))
    if mine == other:
        return "both" if mine else "neither"
    return "ours" if mine else "theirs"


def _verified(
    texts: Sequence[str], evidence: Evidence, keyring: Keyring
) -> tuple[SignedEntry, ...]:
    found, previous = [], None
    for text in texts:
        item = open_entry(text)
        signatory = keyring.platform(item.entry.platform)
        if signatory is None:
            raise RefusedError("pint_platform_unknown", "a platform in a chain is not listed")
        if (item.entry.document, item.entry.previous) != (evidence.ebl, previous):
            raise RefusedError(NOT_PROVEN, "an entry is of another bill or does not follow")
        signatory.verify(item.jws, min(item.last.at, evidence.at))
        found.append(item)
        previous = item.jws.checksum
    return tuple(found)
