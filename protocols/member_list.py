"""The member list: who belongs to a network, with which keys, rights and agreements (R3–R7).

This module is the one place others import from; its parts live in `protocols.members`.
"""

from __future__ import annotations

from protocols.members.drafting import (
    MemberListDraft,
    combine,
    diff,
    keep_past_keys,
    require_root,
    sign_list,
)
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
from protocols.members.export import open_export, read_export, walk, write_export
from protocols.members.trust import (
    MEDIA_TYPE,
    TYP,
    Freshness,
    MemberList,
    advance,
    open_chain,
    open_founding,
    peek_version,
    read_payload,
    require_same,
    signatures_counted,
)

__all__ = [
    "MEDIA_TYPE",
    "PURPOSES",
    "ROLES",
    "TYP",
    "Agreement",
    "AlgorithmEntry",
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
    "Roots",
    "advance",
    "combine",
    "diff",
    "keep_past_keys",
    "open_chain",
    "open_export",
    "open_founding",
    "peek_version",
    "read_export",
    "read_payload",
    "require_root",
    "require_same",
    "sign_list",
    "signatures_counted",
    "walk",
    "write_export",
]
