"""CRED-15, CRED-16, TST-01, TST-02: certificate path, countersignature and time-stamp.

They are asked only where a document has one, or where the member list demands it. Certificates and
time-stamps count by anchors that the list names for that issuer and that server (R5, R7); a
time-stamp proves until when a document was signed, as witnesses do (R17).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from protocols import times, timestamp
from protocols.credentials import countersignature
from protocols.credentials.vcdm import SKEW
from protocols.jws import did_of
from protocols.member_list import AnchorEntry, KeyStanding, ListedKey
from protocols.members import anchors
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from protocols.x509 import path as x509_path
from schemas.errors import TradeError
from schemas.findings import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.x509 import Certificate

    from protocols.jws import Jws
    from protocols.timestamp import TimeStamp
    from protocols.verify.case import Case

#: The anchor is not listed: nothing is known of it, nothing is wrong with what is stamped.
UNLISTED = "certificate_unknown_root"


def revoked_by(entries: Iterable[AnchorEntry]) -> Mapping[bytes, datetime]:
    """Certificates under these anchors that count no longer, and since when at the earliest."""
    found: dict[bytes, datetime] = {}
    for entry in entries:
        for one in entry.revoked:
            found[one.sha256] = min(one.since, found.get(one.sha256, one.since))
    return found


def examine_path(case: Case) -> None:
    """Validate `x5c` at the moment of signing; where it holds, its leaf's key can be relied on."""
    if case.jws is None or not case.jws.header.x5c:
        return
    did = did_of(case.jws.kid)
    # The newest list: it says of earlier times, too, what is known of a certificate by now.
    listed = case.logs or case.members
    entries = listed.anchors_for(anchors.CREDENTIAL, did, case.signed_by)
    try:
        case.path = x509_path.validate(
            case.jws.header.x5c,
            [entry.certificate for entry in entries],
            case.signed_by,
            revoked=revoked_by(entries),
        )
        x509_path.require_name(case.path.leaf, did)
        case.certified = _certified_key(case, case.path.leaf, case.jws.kid)
    except TradeError as error:
        case.path, case.faults["CRED-15"] = None, error


def _certified_key(case: Case, leaf: Certificate, kid: str) -> ListedKey:
    """What the leaf certifies; a key that the list names by another id stands as it is listed."""
    public, owner = x509_path.key_of(leaf, kid), case.members.node(did_of(kid))
    mark = public.thumbprint()
    for key in _gravest_first(owner.keys if owner else ()):
        if key.public.thumbprint() == mark:
            return replace(key, public=public)
    key = ListedKey(
        public, "credential", did_of(kid), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )
    return case.members.within_algorithm(key)


def _gravest_first(keys: Iterable[ListedKey]) -> list[ListedKey]:
    """Compromised ones, then those of other purposes (R1), then the ones that last longest."""
    ends = datetime.max.replace(tzinfo=UTC)
    return sorted(
        keys,
        key=lambda key: (
            key.compromised_from is None,
            key.purpose == "credential",
            -(key.valid_until or ends).timestamp(),
        ),
    )


def cred_15_certificates(case: Case) -> Check:
    """CRED-15: `x5c` leads from the signing key to an anchor listed for the issuer (R7)."""
    error = case.faults.get("CRED-15")
    if error is not None:
        return fault("CRED-15", error)
    if case.path is None or case.certified is None or case.key is None:
        return not_reached("CRED-15")
    if case.certified.public.thumbprint() != case.key.public.thumbprint():
        return Check("CRED-15", FAILED, case.key.kid, "certificate_other_key")
    return Check("CRED-15", PASSED, evidence={"path": case.path.told()})


def countersignature_wanted(case: Case) -> bool:
    """Whether the issuer's entry asks for a second signature on what was signed when this was."""
    node = case.members.node(case.claims.issuer) if case.claims else None
    since = node.countersigned_from if node else None
    return since is not None and case.signed_by >= since


def cred_16_countersignature(case: Case) -> Check:
    """CRED-16: the issuer's ML-DSA signature over the same document, where it has or needs one.

    A second signature taken away is noticed because the member list asks for it.
    """
    error = case.faults.get("CRED-16")
    if error is not None:
        return fault("CRED-16", error)
    if case.jws is None or case.claims is None:
        return not_reached("CRED-16")
    if not case.countersignature:
        return Check("CRED-16", FAILED, case.claims.issuer, "countersignature_missing")
    try:
        parsed = countersignature.parse(
            case.countersignature,
            network=case.claims.network,
            document=case.jws.payload_digest,
        )
        return _countersigned(case, parsed, case.claims.issuer)
    except TradeError as wrong:
        return fault("CRED-16", wrong)


def _countersigned(case: Case, parsed: Jws, issuer: str) -> Check:
    key = case.members.key(parsed.kid)
    if key is None:
        return Check("CRED-16", UNKNOWN, parsed.kid, "key_not_listed")
    if key.did != issuer or key.purpose != "credential":
        return Check("CRED-16", FAILED, parsed.kid, "key_wrong_purpose")
    countersignature.verify(parsed, key.public)
    standing = key.standing(case.signed_by, proven=case.proven_at is not None)
    if standing is KeyStanding.DOUBTFUL:
        return Check("CRED-16", UNKNOWN, key.kid, "key_doubtful")
    if standing is not KeyStanding.VALID:
        return Check("CRED-16", FAILED, key.kid, "countersignature_key_not_current")
    evidence = {"kid": key.kid, "algorithm": key.public.algorithm}
    return Check("CRED-16", PASSED, evidence=evidence)


def timestamp_checks(case: Case) -> tuple[Check, ...]:
    """The checks of a time-stamp, where one is given. Sets `case.stamp` when it is sound."""
    if case.timestamp is None:
        return ()
    first = tst_01_stamp(case, case.timestamp)
    if first.outcome is not PASSED:
        return (first, not_reached("TST-02"))
    return (first, tst_02_moment(case))


def tst_01_stamp(case: Case, response: bytes) -> Check:
    """TST-01: RFC 3161 over the credential's signature, by a server that the list names."""
    if case.jws is None:
        return not_reached("TST-01")
    try:
        stamp = verify_stamp(
            response,
            case.jws.text.encode("ascii"),
            (case.logs or case.members).anchors,
            judged=case.stamped_until or case.at,
        )
    except TradeError as error:
        return fault("TST-01", error, UNKNOWN if error.code == UNLISTED else FAILED)
    case.stamp = stamp
    return Check("TST-01", PASSED, evidence={"time": times.to_text(stamp.made)})


def verify_stamp(
    response: bytes,
    data: bytes,
    listed: Iterable[AnchorEntry],
    *,
    judged: datetime | None,
    nonce: int | None = None,
) -> TimeStamp:
    """The stamp over `data` under the listed anchors; raises as `timestamp.verify`.

    judged: until when it must have held; None asks for the moment it was made alone
    """
    made = timestamp.read(response).made
    entries = [
        entry for entry in listed if entry.purpose == anchors.TIMESTAMP and entry.valid_at(made)
    ]
    return timestamp.verify(
        response,
        data,
        [entry.certificate for entry in entries],
        at=max(judged or made, made),
        nonce=nonce,
        revoked=revoked_by(entries),
    )


def tst_02_moment(case: Case) -> Check:
    """TST-02: it was not stamped before the credential says that it begins (60 s for clocks)."""
    if case.stamp is None or case.claims is None:
        return not_reached("TST-02")
    if case.stamp.at < case.claims.valid_from - SKEW:
        return Check("TST-02", FAILED, code="timestamp_before_validity")
    return Check("TST-02", PASSED, evidence={"by": times.to_text(case.stamp.at)})
