"""Trust policies for cosigned checkpoints, C2SP tlog-policy: which witnesses, how many of them.

Added to the format are the rules of R16: one vote per organisation, none for the log's own
operator, and no quorum that its share of liars could split. The organisation of a key is the part
of its name before the first slash.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from protocols.log import note
from protocols.log.note import COSIGNATURE, ED25519, ML_DSA_44, VerifierKey, organisation
from schemas.errors import MalformedError, RefusedError, TooLargeError

NONE = "none"
MAX_TEXT = 65_536
MAX_NAMES = 64
"""At least 32 logs, witnesses and groups must be taken (tlog-policy, *Implementation limits*)."""

_ALLOWED = re.compile(r"[\t\n\x20-\x7e\x80-\U0010ffff]*")
_COUNT = re.compile(r"[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class Witness:
    """One listed witness: its name inside the policy, its key, its URL or ""."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group witnesses what at least `threshold` of its members (witnesses, groups) witness."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. `quorum` is the name of a witness or group, or ``none``."""

    logs: tuple[VerifierKey, ...] = ()
    witnesses: Mapping[str, Witness] = field(default_factory=dict, hash=False)
    groups: Mapping[str, Group] = field(default_factory=dict, hash=False)
    quorum: str = NONE

    def witness_of(self, line: note.Signature) -> Witness | None:
        """The witness that a signature line names."""
        return next((item for item in self.witnesses.values() if line.names(item.key)), None)

    def voters(self, origin: str = "") -> tuple[Witness, ...]:
        """Witnesses below the quorum, without those of the organisation behind `origin`."""
        own = organisation(origin) if origin else None
        names = self._below(self.quorum)
        return tuple(
            item
            for name, item in self.witnesses.items()
            if name in names and item.key.organisation != own
        )

    def satisfied(self, cosigners: Collection[str], *, origin: str = "") -> bool:
        """Whether these witnesses (by name) are a quorum for the log `origin`.

        Never for ``quorum none``: a checkpoint that nobody has to see is not witnessed.
        """
        if self.quorum == NONE:
            return False
        voters = {item.name for item in self.voters(origin)}
        return self._holds(self.quorum, voters.intersection(cosigners))

    def confirmations(self, origin: str = "") -> int:
        """How many voters intersect every quorum, n − q + 1 (R15); 0 without a quorum."""
        if self.quorum == NONE:
            return 0
        return len(self.voters(origin)) - self._smallest(self.quorum) + 1

    def smallest_quorum(self) -> int:
        """The least number of witnesses that satisfy the quorum."""
        return 0 if self.quorum == NONE else self._smallest(self.quorum)

    def _holds(self, name: str, cosigners: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigners
        return sum(self._holds(item, cosigners) for item in group.members) >= group.threshold

    def _smallest(self, name: str) -> int:
        group = self.groups.get(name)
        if group is None:
            return 1
        return sum(sorted(self._smallest(item) for item in group.members)[: group.threshold])

    def _below(self, name: str) -> set[str]:
        group = self.groups.get(name)
        if group is None:
            return {name}
        return set().union(*(self._below(item) for item in group.members))


def check(policy: Policy, origin: str) -> None:
    """Refuse a policy that cannot be relied on for the log `origin` (R16).

    Raises RefusedError `policy_counts_operator`, `policy_counts_twice`, `policy_intolerant`.
    """
    if policy.quorum == NONE:
        return
    everybody = policy.voters()
    if len(policy.voters(origin)) != len(everybody):
        raise RefusedError("policy_counts_operator", "the log's operator is among its witnesses")
    if len({item.key.organisation for item in everybody}) != len(everybody):
        raise RefusedError("policy_counts_twice", "an organisation has more than one witness")
    count, quorum = len(everybody), policy.smallest_quorum()
    liars = (count - 1) // 3
    # Two quorums share at least 2q − n witnesses, which must be more than the liars.
    if 2 * quorum - count < liars + 1:
        raise RefusedError(
            "policy_intolerant",
            f"a quorum of {quorum} among {count} cannot tolerate liars: {liars}; "
            f"take {(count + liars + 2) // 2}",
        )


def threshold_policy(
    log: VerifierKey,
    witnesses: Collection[tuple[VerifierKey, str]],
    quorum: int,
    *,
    known: Collection[VerifierKey] = (),
) -> str:
    """The policy text for one log and `quorum` of the (key, URL or "") witnesses.

    known: keys without a vote, whose lines must verify where they stand: second signatures of the
           witnesses (ML-DSA-44) and the signatures of mirrors
    """
    lines = [f"log {log.to_text()}"]
    names = []
    for number, (key, url) in enumerate(witnesses, start=1):
        names.append(f"w{number}")
        lines.append(f"witness w{number} {key.to_text()} {url}".rstrip())
    lines += [f"witness k{number} {key.to_text()}" for number, key in enumerate(known, start=1)]
    if quorum:
        lines.append(f"group witnesses {quorum} {' '.join(names)}")
    lines.append("quorum witnesses" if quorum else "quorum none")
    return "".join(f"{line}\n" for line in lines)


def default_quorum(count: int) -> int:
    """⌈(n+f+1)/2⌉ with f = ⌊(n−1)/3⌋: 3 of 4, 5 of 7; 0 without witnesses."""
    return (count + (count - 1) // 3 + 2) // 2 if count else 0


@lru_cache(maxsize=256)
def parse(text: str) -> Policy:
    """A policy from its text. Raises MalformedError `policy_malformed`, `policy_too_large`."""
    if len(text) > MAX_TEXT:
        raise TooLargeError("policy_too_large", f"a policy has at most {MAX_TEXT} characters")
    if text and not text.endswith("\n"):
        raise _malformed("the last line does not end in a newline")
    if not _ALLOWED.fullmatch(text):
        raise _malformed("a policy has no control characters but tab and newline")
    builder = _Builder()
    for line in text.split("\n"):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            builder.add(words[0], words[1:])
    return builder.policy()


def _malformed(detail: str) -> MalformedError:
    return MalformedError("policy_malformed", detail)


class _Builder:
    """Collects the lines of one policy; every name must be defined before it is used."""

    def __init__(self) -> None:
        self._logs: list[VerifierKey] = []
        self._witnesses: dict[str, Witness] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: str | None = None
        self._members: set[str] = set()

    def add(self, keyword: str, words: list[str]) -> None:
        lines = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum_line,
        }
        if keyword not in lines:
            raise _malformed("lines begin with log, witness, group or quorum")
        lines[keyword](words)
        if max(len(self._logs), len(self._witnesses), len(self._groups)) > MAX_NAMES:
            raise TooLargeError("policy_too_large", f"at most {MAX_NAMES} of a kind")

    def policy(self) -> Policy:
        if self._quorum is None:
            raise _malformed("a policy has exactly one quorum line")
        return Policy(
            tuple(self._logs),
            MappingProxyType(self._witnesses),
            MappingProxyType(self._groups),
            self._quorum,
        )

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise _malformed("log <vkey> [<url>]")
        key = _key(words[0], {ED25519})
        if key.public_key in {item.public_key for item in self._logs}:
            raise _malformed("two log lines with one key")
        self._logs.append(key)

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise _malformed("witness <name> <vkey> [<url>]")
        name, key = self._new_name(words[0]), _key(words[1], {COSIGNATURE, ML_DSA_44})
        if key.public_key in {item.key.public_key for item in self._witnesses.values()}:
            raise _malformed("two witness lines with one key")
        self._witnesses[name] = Witness(name, key, words[2] if len(words) == 3 else "")

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise _malformed("group <name> all|any|<k> <name>…")
        name, members = self._new_name(words[0]), tuple(words[2:])
        for member in members:
            self._known(member)
            # Each name is a member at most once, so that nobody counts in two ways.
            if member in self._members:
                raise _malformed("a name is a member of two groups")
            self._members.add(member)
        self._groups[name] = Group(name, _threshold(words[1], len(members)), members)

    def _quorum_line(self, words: list[str]) -> None:
        if len(words) != 1 or self._quorum is not None:
            raise _malformed("a policy has exactly one quorum line: quorum <name>")
        if words[0] != NONE:
            self._known(words[0])
        self._quorum = words[0]

    def _new_name(self, name: str) -> str:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise _malformed("a name is defined once, and never none")
        return name

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise _malformed("a name is used before it is defined")


def _threshold(word: str, count: int) -> int:
    if word in ("all", "any"):
        return count if word == "all" else 1
    if not _COUNT.fullmatch(word) or int(word) > count:
        raise _malformed("a threshold is all, any or a number up to the number of members")
    return int(word)


def _key(text: str, algorithms: Collection[int]) -> VerifierKey:
    key = note.parse_vkey(text)
    if key.algorithm not in algorithms:
        raise _malformed("log keys have type 0x01, witness keys type 0x04 or 0x06")
    return key
