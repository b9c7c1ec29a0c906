"""What a next member list changes, in plain words, for those who are about to sign it.

Nobody signs what he has not read: every difference between two versions is one `Change`, told in
English and in Chinese. What follows from them, `protocols.members.consequences` works out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from protocols import times
from protocols.digest import sha256
from protocols.evm.keys import checksum_text
from protocols.members.anchor_contracts import AnchorContractEntry
from protocols.members.anchors import AnchorEntry
from protocols.members.arbiters import ArbiterEntry, ValidatorEpoch
from protocols.members.entries import (
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    ListedKey,
    NodeEntry,
    PartyEntry,
)
from protocols.members.trust import MemberList

T = TypeVar("T")

#: Entries with a name and dates: how they are called in English and in Chinese.
_DATED = {
    "right": ("{did}: {types} for {country}{more}", "签发权：{did}为{country}签发{types}{more}"),
    "agreement": (
        "{id}: {verifier} accepts {types} from {issuer}",
        "互认协议{id}：{verifier}接受{issuer}的{types}",
    ),
    "anchor": (
        "{sha256} ({purpose} of {subject})",
        "信任锚{sha256}（{subject}，{purpose}）",
    ),
}
_BECOMES = (": {before} becomes {after}", "：由{before}改为{after}")

#: kind → the sentence in English and in Chinese.
WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "founds": (
            "founds the network {name} with {count} nodes",
            "创立网络{name}，含{count}个节点",
        ),
        "roots": (
            "changes the roots to {threshold} of {keys}",
            "根密钥改为：{keys}，须其中{threshold}个签名",
        ),
        "root-added": ("  gives a vote to the root {key}", "  新增根密钥{key}"),
        "root-removed": ("  takes the vote of the root {key}", "  取消根密钥{key}"),
        "admits": ("admits {what} {did} ({name})", "接纳{what_zh}{did}（{name}）"),
        "removes": ("removes {what} {did}", "移除{what_zh}{did}"),
        "changes": (
            "changes {what} {did}: {members}",
            "变更{what_zh}{did}：{members}",
        ),
        "member": ("  {member}: {before} becomes {after}", "  {member}：由{before}改为{after}"),
        "key-added": (
            "  lists the {purpose} key {key} from {since} on",
            "  自{since}起登记{purpose}密钥{key}",
        ),
        "key-ended": ("  ends the key {key} at {until}", "  密钥{key}于{until}终止"),
        "key-reopened": ("  lets the key {key} go on to {until}", "  密钥{key}延至{until}"),
        "key-compromised": (
            "  tells that the key {key} has been in foreign hands since {since}",
            "  宣布密钥{key}自{since}起已被他人掌握",
        ),
        "log-added": ("adds log {told}", "新增日志：{told}"),
        "log-removed": ("removes or replaces log {told}", "移除或替换日志：{told}"),
        "registry-added": ("adds registry {told}", "新增登记簿：{told}"),
        "registry-removed": ("removes or replaces registry {told}", "移除或替换登记簿：{told}"),
        "arbiter-added": ("adds title arbiter {told}", "新增权利仲裁合约：{told}"),
        "arbiter-removed": (
            "removes or replaces title arbiter {told}",
            "移除或替换权利仲裁合约：{told}",
        ),
        "anchor-contract-added": ("adds contract for anchors {told}", "新增锚定合约：{told}"),
        "anchor-contract-removed": (
            "removes or replaces contract for anchors {told}",
            "移除或替换锚定合约：{told}",
        ),
        "algorithm-added": ("adds end of algorithm {told}", "新增算法终止：{told}"),
        "algorithm-removed": ("removes end of algorithm {told}", "取消算法终止：{told}"),
        **{
            f"{kind}-added": (f"adds {kind} {en}", f"新增{zh}") for kind, (en, zh) in _DATED.items()
        },
        **{
            f"{kind}-removed": (f"removes {kind} {en}", f"移除{zh}")
            for kind, (en, zh) in _DATED.items()
        },
        **{
            f"{kind}-changed": (f"changes {kind} {en}{_BECOMES[0]}", f"变更{zh}{_BECOMES[1]}")
            for kind, (en, zh) in _DATED.items()
        },
        "name": ("renames the network {before} to {after}", "网络由{before}更名为{after}"),
        "expires": ("expires {at}", "名单于{at}到期"),
    }
)
_OWNERS = {"node": "节点", "party": "当事方"}
_OPEN = {"en": "until further notice", "zh": "长期"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: its kind (a name of `WORDS`) and the values its sentence needs."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, lang: str = "en") -> str:
        """The plain sentence."""
        words = WORDS[self.kind][lang == "zh"]
        return words.format_map({name: _text(one, lang) for name, one in self.values.items()})

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """kind, sentence and values."""
        values = {name: _text(one, "en") for name, one in self.values.items() if name != "what_zh"}
        return {"kind": self.kind, "told": self.tell(lang).strip(), **values}


@dataclass(frozen=True, slots=True)
class Told:
    """A value that reads differently in the two languages."""

    en: str
    zh: str


def _text(value: object, lang: str) -> str:
    if isinstance(value, Told):
        return value.zh if lang == "zh" else value.en
    if value is None:
        return _OPEN["zh" if lang == "zh" else "en"]
    return times.to_text(value) if isinstance(value, datetime) else str(value)


def changes(old: MemberList | None, new: MemberList) -> list[Change]:
    """Every difference between two versions; for a founding list that it founds."""
    if old is None:
        return [Change("founds", {"name": new.name, "count": len(new.nodes)})]
    found = [*_roots(old, new)]
    if old.name != new.name:
        found.append(Change("name", {"before": old.name, "after": new.name}))
    found += _owners("node", old.nodes, new.nodes)
    found += _owners("party", old.parties, new.parties)
    found += _dated("right", old.issuers, new.issuers, _right_name, _tell_right)
    found += _dated("agreement", old.agreements, new.agreements, _agreement_name, _tell_agreement)
    found += _listed("log", old.logs, new.logs, lambda one: f"{one.origin} #{one.epoch}")
    found += _listed("registry", old.registries, new.registries, lambda one: one.origin)
    found += _listed("arbiter", old.arbiters, new.arbiters, _tell_arbiter)
    found += _listed(
        "anchor-contract", old.anchor_contracts, new.anchor_contracts, _tell_anchor_contract
    )
    found += _dated("anchor", old.anchors, new.anchors, _anchor_name, _tell_anchor)
    found += _listed("algorithm", old.algorithms, new.algorithms, _tell_algorithm)
    if new.expires != old.expires:
        found.append(Change("expires", {"at": new.expires}))
    return found


#: What every version has of its own; the rest is what it says.
_PLACE = frozenset({"version", "digest", "previous", "payload", "signed", "issued_at", "expires"})


def says_the_same(old: MemberList, new: MemberList) -> bool:
    """Whether `new` only renews `old`; in which order keys are listed means nothing."""
    return _said(old) == _said(new)


def _said(members: MemberList) -> list[object]:
    nodes = tuple(replace(one, keys=_in_order(one.keys)) for one in members.nodes)
    parties = tuple(replace(one, keys=_in_order(one.keys)) for one in members.parties)
    ordered = replace(members, nodes=nodes, parties=parties)
    names = [one.name for one in fields(MemberList) if one.compare and one.name not in _PLACE]
    return [getattr(ordered, name) for name in names]


def _in_order(keys: Sequence[ListedKey]) -> tuple[ListedKey, ...]:
    return tuple(sorted(keys, key=lambda key: key.kid))


def diff(old: MemberList | None, new: MemberList, lang: str = "en") -> list[str]:
    """The plain sentences of `changes`."""
    return [change.tell(lang) for change in changes(old, new)]


def _roots(old: MemberList, new: MemberList) -> Iterator[Change]:
    if old.roots == new.roots:
        return
    before, after = old.roots.by_kid(), new.roots.by_kid()
    yield Change("roots", {"threshold": new.roots.threshold, "keys": ", ".join(after)})
    for kid, key in after.items():
        if before.get(kid) != key:
            yield Change("root-added", {"key": kid})
    for kid, key in before.items():
        if after.get(kid) != key:
            yield Change("root-removed", {"key": kid})


def _owners(
    what: str, old: Sequence[NodeEntry | PartyEntry], new: Sequence[NodeEntry | PartyEntry]
) -> Iterator[Change]:
    words = {"what": what, "what_zh": _OWNERS[what]}
    before, after = {one.did: one for one in old}, {one.did for one in new}
    for did in before:
        if did not in after:
            yield Change("removes", {**words, "did": did})
    for entry in new:
        known = before.get(entry.did)
        if known is None:
            yield Change("admits", {**words, "did": entry.did, "name": entry.name})
        elif known.to_json() != entry.to_json():
            yield from _owner(words, known, entry)


def _owner(
    words: Mapping[str, str], old: NodeEntry | PartyEntry, new: NodeEntry | PartyEntry
) -> Iterator[Change]:
    before, after = old.to_json(), new.to_json()
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    yield Change("changes", {**words, "did": new.did, "members": ", ".join(names)})
    for name in names:
        if name != "keys":
            values = {"before": before.get(name, "-"), "after": after.get(name, "-")}
            yield Change("member", {"member": name, **values})
    known = {key.kid: key for key in old.keys}
    for key in new.keys:
        yield from _key(known.get(key.kid), key)


def _key(old: ListedKey | None, new: ListedKey) -> Iterator[Change]:
    named = {"key": new.kid, "purpose": new.purpose}
    if old is None:
        yield Change("key-added", {**named, "since": new.valid_from})
        return
    if new.compromised_from is not None and new.compromised_from != old.compromised_from:
        yield Change("key-compromised", {**named, "since": new.compromised_from})
    if new.valid_until != old.valid_until:
        later = new.valid_until is None or (
            old.valid_until is not None and new.valid_until > old.valid_until
        )
        kind = "key-reopened" if later else "key-ended"
        yield Change(kind, {**named, "until": new.valid_until})


def _dated(
    what: str,
    old: Sequence[T],
    new: Sequence[T],
    name: Callable[[T], object],
    tell: Callable[[T], Mapping[str, str]],
) -> Iterator[Change]:
    """Entries with a name and dates: what has another date is changed, not removed and added."""
    before, after = {name(one): one for one in old}, {name(one): one for one in new}
    for key, entry in before.items():
        if key not in after:
            yield Change(f"{what}-removed", tell(entry))
    for key, entry in after.items():
        known = before.get(key)
        if known is None:
            yield Change(f"{what}-added", tell(entry))
        elif known != entry:
            values = {"before": _terms(known), "after": _terms(entry)}
            yield Change(f"{what}-changed", {**tell(entry), **values})


def _terms(entry: Any) -> str:
    """From when to when, and what else can change under one name."""
    until = "" if entry.valid_until is None else times.to_text(entry.valid_until)
    parts = [f"{times.to_text(entry.valid_from)}/{until}"]
    if isinstance(entry, Agreement):
        parts += [", ".join(entry.document_types), *([entry.rules] if entry.rules else [])]
    elif isinstance(entry, AnchorEntry):
        parts.append(f"revoked: {len(entry.revoked)}")
    elif entry.delegated_by:
        parts += [entry.delegated_by, *entry.certificate_types]
    return " ".join(parts)


def _listed(
    what: str, old: Sequence[T], new: Sequence[T], tell: Callable[[T], str | Told]
) -> Iterator[Change]:
    for entry in old:
        if entry not in new:
            yield Change(f"{what}-removed", {"told": tell(entry)})
    for entry in new:
        if entry not in old:
            yield Change(f"{what}-added", {"told": tell(entry)})


def _right_name(entry: IssuerEntry) -> object:
    return (entry.did, entry.document_type, entry.country, entry.office)


def _agreement_name(entry: Agreement) -> object:
    return (entry.id, entry.verifier, entry.issuer)


def _anchor_name(entry: AnchorEntry) -> object:
    return (entry.purpose, entry.subject, entry.certificate)


def _tell_anchor(entry: AnchorEntry) -> dict[str, str]:
    digest = sha256(entry.certificate).hex()
    return {"sha256": digest[:16], "purpose": entry.purpose, "subject": entry.subject}


def _tell_right(entry: IssuerEntry) -> dict[str, str]:
    more = f" ({entry.office})" if entry.office else ""
    more += f" ← {entry.delegated_by}" if entry.delegated_by else ""
    more += f" [{', '.join(entry.certificate_types)}]" if entry.certificate_types else ""
    told = {"did": entry.did, "types": entry.document_type, "country": entry.country}
    return {**told, "more": more}


def _tell_agreement(entry: Agreement) -> dict[str, str]:
    types = ", ".join((*entry.document_types, *entry.aeo_classes, *entry.aeo_roles))
    parties = {"verifier": entry.verifier, "issuer": entry.issuer}
    return {"id": entry.id, "types": types, **parties}


def _tell_algorithm(entry: AlgorithmEntry) -> str:
    return f"{entry.id}: refused from {times.to_text(entry.until)} on"


def _tell_anchor_contract(entry: AnchorContractEntry) -> Told:
    place = _tell_arbiter(entry.place)
    senders = [(item.origin, checksum_text(item.address)) for item in entry.senders]
    en = ", ".join(f"{origin} by {address}" for origin, address in senders)
    zh = "、".join(f"{origin}由{address}" for origin, address in senders)
    return Told(f"{place.en}: {en or 'no sender'}", f"{place.zh}：{zh or '无发送方'}")


def _tell_arbiter(entry: ArbiterEntry) -> Told:
    contract, code = checksum_text(entry.contract), entry.code_hash.hex()[:16]
    epochs = "; ".join(_tell_epoch(epoch) for epoch in entry.validators)
    sealed = f" ({epochs})" if epochs else ""
    final = f"{entry.finality}{sealed}"
    return Told(
        f"{entry.name}: {contract} on chain {entry.chain_id}, final by {final}, code {code}",
        f"{entry.name}：链{entry.chain_id}上的{contract}，终局依据{final}，代码{code}",
    )


def _tell_epoch(epoch: ValidatorEpoch) -> str:
    return f"{epoch.start}: {', '.join(map(checksum_text, epoch.validators))}"
