"""The member list: who belongs to a network, with which keys, rights and agreements (R3–R7).

This module is the one place others import from; its parts live in `protocols.members`.
"""

from __future__ import annotations

from protocols.members.anchor_contracts import AnchorContractEntry, AnchorSender
from protocols.members.anchors import AnchorEntry, RevokedCertificate
from protocols.members.changes import diff
from protocols.members.drafting import MemberListDraft, keep_past_keys
from protocols.members.entries import (
    PURPOSES,
    ROLES,
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    KeyStanding,
    ListedKey,
    LogEntry,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
)
from protocols.members.export import MAX_BYTES as MAX_EXPORT_BYTES
from protocols.members.export import (
    open_export,
    open_versions,
    read_export,
    walk,
    write_export,
)
from protocols.members.proposal import combine, require_root, sign_list
from protocols.members.trust import (
    MEDIA_TYPE,
    TYP,
    Freshness,
    MemberList,
    advance,
    open_chain,
    open_founding,
    peek_digest,
    peek_version,
    read_payload,
    reopen,
    require_same,
    signatures_counted,
)

__all__ = [
    "MAX_EXPORT_BYTES",
    "MEDIA_TYPE",
    "PURPOSES",
    "ROLES",
    "TYP",
    "Agreement",
    "AlgorithmEntry",
    "AnchorContractEntry",
    "AnchorEntry",
    "AnchorSender",
    "Freshness",
    "IssuerEntry",
    "KeyStanding",
    "ListedKey",
    "LogEntry",
    "MemberList",
    "MemberListDraft",
    "NodeEntry",
    "PartyEntry",
    "RegistryEntry",
    "RevokedCertificate",
    "Roots",
    "advance",
    "combine",
    "diff",
    "keep_past_keys",
    "open_chain",
    "open_export",
    "open_founding",
    "open_versions",
    "peek_digest",
    "peek_version",
    "read_export",
    "read_payload",
    "reopen",
    "require_root",
    "require_same",
    "sign_list",
    "signatures_counted",
    "walk",
    "write_export",
]
