"""What would follow from a next member list: whose documents stop or start being accepted.

A proposal is judged by its effect, not by its wording: for every member, document type and
verifying country both lists are asked at the moment of the new one and at every later moment at
which one of their entries begins or ends. Beside that, a few warnings about the list itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from protocols import rights, times
from protocols.members import quorums
from protocols.members.entries import Agreement, IssuerEntry, ListedKey, NodeEntry
from protocols.members.trust import MemberList
from schemas import registry
from schemas.view import DocumentType

Dated: TypeAlias = Agreement | IssuerEntry | ListedKey

MAX_MOMENTS = 64
SHORT_TERM = timedelta(days=14)

WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "stops": (
            "from {at} on {verifiers} no longer accept {types} of {issuer} for {country}",
            "自{at}起，{verifiers}不再接受{issuer}为{country}签发的{types}",
        ),
        "starts": (
            "from {at} on {verifiers} accept {types} of {issuer} for {country}",
            "自{at}起，{verifiers}接受{issuer}为{country}签发的{types}",
        ),
        "silent": (
            "{did} has no {purpose} key in force any more",
            "{did}不再有有效的{purpose}密钥",
        ),
        "witness": (
            "{did} has no {purpose} key in force and still stands in the policy of {count} logs",
            "{did}没有有效的{purpose}密钥，但仍列于{count}个日志的见证策略",
        ),
        "log-stops": (
            (
                "the log {origin} has no quorum from {at} on: {left} of {count} witnesses are left "
                "and {needed} must cosign; its receipts then prove no time, and it goes over to "
                "other witnesses only if the ended ones cosign that"
            ),
            (
                "自{at}起日志{origin}达不到法定见证数：{count}个见证方仅余{left}个，须{needed}个联署；"
                "此后其回执不能证明时间，且须已终止的见证方联署方可移交给其他见证方"
            ),
        ),
        "registry-stops": (
            (
                "the title registry {origin} has no quorum from {at} on: {left} of {count} "
                "witnesses are left and {needed} must cosign; no title operation there becomes "
                "final unless the ended ones go on"
            ),
            (
                "自{at}起物权登记簿{origin}达不到法定见证数：{count}个见证方仅余{left}个，"
                "须{needed}个联署；除非已终止的见证方继续联署，否则该处的物权操作均不能生效"
            ),
        ),
        "all-roots": (
            "all {count} roots must sign: the loss of one key ends every later change",
            "全部{count}个根密钥都须签名：丢失一个即无法再变更名单",
        ),
        "one-root": (
            "one root of {count} suffices to change everything",
            "{count}个根密钥中只需一个即可变更一切",
        ),
        "short": (
            "the list expires within {days} days; after that only reading goes on, for seven days",
            "名单将在{days}天内到期；此后七天内仅可查阅",
        ),
        "widens": (
            "the right {told} reaches beyond the one it hangs on, and holds only within it",
            "签发权{told}超出其所依据的权限，仅在该权限内有效",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Consequence:
    """One effect: its kind (a name of `WORDS`) and the values its sentence needs."""

    kind: str
    values: Mapping[str, Any]

    def tell(self, lang: str = "en") -> str:
        """The plain sentence."""
        return WORDS[self.kind][lang == "zh"].format_map(self.values)

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """kind, sentence and values."""
        return {"kind": self.kind, "told": self.tell(lang), **self.values}


class Accepted(NamedTuple):
    """That a country takes documents of a type, which a member issues for a country."""

    issuer: str
    country: str
    type: str
    verifier: str


def consequences(old: MemberList, new: MemberList) -> list[Consequence]:
    """Every effect of putting `new` in the place of `old`, in order of time; then the warnings."""
    found: list[Consequence] = []
    told: frozenset[tuple[str, Accepted]] = frozenset()
    touched = _touched(old, new)
    for at in _moments(old, new):
        before, after = accepted(old, at, touched), accepted(new, at, touched)
        stops, starts = before - after, after - before
        now = frozenset({("stops", one) for one in stops} | {("starts", one) for one in starts})
        found += _grouped(at, now - told)
        told = now
    return [*found, *_warnings(old, new)]


@dataclass(frozen=True, slots=True)
class Touched:
    """What can be judged differently: members, and document types, whoever's; or everything."""

    members: frozenset[str]
    types: frozenset[str]
    everything: bool = False

    def concerns(self, did: str, document_type: str) -> bool:
        """Whether that member's documents of that type can be judged differently."""
        return self.everything or did in self.members or document_type in self.types


def _touched(old: MemberList, new: MemberList) -> Touched:
    nodes = set(old.nodes) ^ set(new.nodes)
    agreements = set(old.agreements) ^ set(new.agreements)
    types = {entry.document_type for entry in set(old.issuers) ^ set(new.issuers)}
    types |= set(chain.from_iterable(entry.document_types for entry in agreements))
    dids = frozenset(node.did for node in nodes)
    return Touched(dids, frozenset(types), old.algorithms != new.algorithms)


def _moments(old: MemberList, new: MemberList) -> list[datetime]:
    """The moments at which the answer can change, from the new list's issue on."""
    dates: set[datetime | None] = {new.issued_at}
    for members in (old, new):
        keys = chain.from_iterable(node.keys for node in members.nodes)
        dated: Iterator[Dated] = chain(members.issuers, members.agreements, keys)
        for entry in dated:
            dates |= {entry.valid_from, entry.valid_until}
        dates |= {entry.until for entry in members.algorithms}
    known = (date for date in dates if date is not None)
    return sorted(date for date in known if new.issued_at <= date < new.expires)[:MAX_MOMENTS]


def accepted(members: MemberList, at: datetime, touched: Touched) -> set[Accepted]:
    """What is accepted somewhere at `at`: right, key and recognition together."""
    countries = {node.country for node in members.nodes}
    verifiers = countries | {entry.verifier for entry in members.agreements}
    found: set[Accepted] = set()
    for node in members.nodes:
        listed = members.node(node.did)
        if listed is None or listed.key_for("credential", at) is None:
            continue
        for kind in registry.document_types().values():
            if touched.concerns(node.did, kind.key):
                for country in _countries(members, listed, kind, at):
                    found |= {
                        Accepted(node.did, country, kind.key, verifier)
                        for verifier in verifiers
                        if not rights.is_official(kind)
                        or members.agreement(verifier, country, kind.key, at)
                    }
    return found


def _countries(members: MemberList, node: NodeEntry, kind: DocumentType, at: datetime) -> set[str]:
    """The countries for which the node may issue that type at `at`."""
    granted = {
        entry.country
        for entry in members.issuers
        if (entry.did, entry.document_type) == (node.did, kind.key)
    }
    asked = (
        rights.country_of_right(members, node.did, kind, export_country=country, at=at)
        for country in {node.country, *granted}
    )
    return {country for country in asked if country is not None}


def _grouped(at: datetime, found: frozenset[tuple[str, Accepted]]) -> Iterator[Consequence]:
    """One sentence for all types and countries that change alike."""
    by_type: dict[tuple[str, str, str, str], list[str]] = {}
    for kind, one in sorted(found):
        by_type.setdefault((kind, one.issuer, one.country, one.type), []).append(one.verifier)

    def alike(item: tuple[tuple[str, str, str, str], list[str]]) -> tuple[str, str, str, str]:
        (kind, issuer, country, _), verifiers = item
        return kind, issuer, country, ", ".join(verifiers)

    for (kind, issuer, country, verifiers), group in groupby(
        sorted(by_type.items(), key=alike), key=alike
    ):
        types = ", ".join(sorted(key[3] for key, _ in group))
        values = {"issuer": issuer, "country": country, "types": types, "verifiers": verifiers}
        yield Consequence(kind, {"at": times.to_text(at), **values})


def _warnings(old: MemberList, new: MemberList) -> Iterator[Consequence]:
    yield from _silenced(old, new)
    for lost in quorums.newly_lost(old, new):
        at = times.to_text(max(lost.at, new.issued_at))
        numbers = {"left": lost.left, "count": lost.count, "needed": lost.needed}
        yield Consequence(f"{lost.purpose}-stops", {"origin": lost.origin, "at": at, **numbers})
    roots = new.roots
    if roots != old.roots and len(roots.keys) > 1:
        if roots.threshold == len(roots.keys):
            yield Consequence("all-roots", {"count": len(roots.keys)})
        elif roots.threshold == 1:
            yield Consequence("one-root", {"count": len(roots.keys)})
    if new.expires - new.issued_at < SHORT_TERM:
        yield Consequence("short", {"days": (new.expires - new.issued_at).days})
    for entry in new.issuers:
        if entry not in old.issuers and new.widened(entry):
            told = f"{entry.did}: {entry.document_type} for {entry.country}"
            yield Consequence("widens", {"told": told})


def _silenced(old: MemberList, new: MemberList) -> Iterator[Consequence]:
    """Members that can no longer speak in one of their capacities."""
    at = new.issued_at
    for node in new.nodes:
        known = old.node(node.did)
        for purpose in sorted({key.purpose for key in node.keys}):
            if known is None or known.key_for(purpose, at) is None:
                continue
            entry = new.node(node.did)
            if entry is None or entry.key_for(purpose, at) is not None:
                continue
            yield Consequence("silent", {"did": node.did, "purpose": purpose})
            count = _policies_naming(new, node.keys, purpose)
            if count:
                values = {"did": node.did, "purpose": purpose, "count": count}
                yield Consequence("witness", values)


def _policies_naming(members: MemberList, keys: Sequence[ListedKey], purpose: str) -> int:
    """How many logs and registries name the member among their witnesses."""
    if purpose not in {"witness", "registry-witness"} or not keys:
        return 0
    name = f"{keys[0].did.removeprefix('did:web:')}/{purpose}/"
    policies = [log.policy for log in members.logs]
    policies += [registered.policy for registered in members.registries]
    return sum(f" {name}" in policy for policy in policies)
