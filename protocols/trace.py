"""The history of a document or consignment as a picture's marks: a column per act, lanes per actor.

Pure shaping of a node's events (`node.store.events`) or of several nodes' events put together. An
act is what somebody did: issued, operated a title, decided, revoked, released, held. What followed
from it elsewhere (a document received, a revocation learned of) stands in the column of the act,
straight below or above it, unless it came so late that other things may have happened between; then
it has a column of its own. What many followers tell of one title operation is one mark, in the lane
of the node that acted. The table twin shows every event; here only the routine ones are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from protocols import times
from protocols.trace_words import LATER, WORDS, Shape, Word, type_name, word_of
from schemas import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

__all__ = [
    "WORDS",
    "Caption",
    "Column",
    "History",
    "Link",
    "Mark",
    "Shape",
    "TraceEvent",
    "Word",
    "captions",
    "ordered",
    "remark",
    "shape",
    "word_of",
]

CLOSE = timedelta(milliseconds=400)
# What comes later than this after its act (a node was off, a line was cut) is drawn on its own.
LATE = timedelta(seconds=2)

ROUTINE = frozenset({"sent", "validated", "title-final", "checkpoint", "witnessed", "member-list"})
_ISSUE = frozenset({"issued", "received", "receipted", "quarantined", "refused", "released"})
_STATUS = frozenset({"revoked", "suspended", "reinstated", "status-changed"})
_ACTS = frozenset({"issued", "revoked", "suspended", "reinstated", "decided"})
_ARRIVALS = frozenset({"received", "receipted"})


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a history.

    actor:     who did it: an organisation or a party, by name
    lane:      the organisation at which it happened, where that is not the actor
    document:  hex digest, or ""; type: its document type, or ""
    label:     its number, or the container that the event is about
    recipient: who got the title, by name, or ""
    leaf:      hex hash of the log leaf, or ""; proof: where the proof is found, or ""
    """

    at: datetime
    actor: str
    kind: str
    lane: str = ""
    document: str = ""
    type: str = ""
    label: str = ""
    recipient: str = ""
    leaf: str = ""
    proof: str = ""
    consignment: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def place(self) -> str:
        """The lane in which it stands."""
        return self.lane or self.actor

    @property
    def operation(self) -> str:
        """The digest of the title operation it tells of, or ""."""
        return str(self.detail.get("operation", "")) if self.kind.startswith("title-") else ""

    def about(self, lang: str) -> str:
        """The document by its type's name and its number, or the container."""
        return f"{type_name(self.type, lang)} {self.label}".strip()

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """The event with its words; empty members are left out."""
        body: dict[str, Any] = {
            "at": times.to_text(self.at),
            "actor": self.actor,
            "lane": self.lane,
            "kind": self.kind,
            "word": word_of(self.kind).text(lang),
            "document": self.document,
            "type": self.type,
            "label": self.label,
            "about": self.about(lang),
            "recipient": self.recipient,
            "remark": remark(self, lang),
            "consignment": self.consignment,
            "leaf": self.leaf,
            "proof": self.proof,
            "detail": dict(self.detail),
        }
        return {name: value for name, value in body.items() if value not in ("", {})}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> TraceEvent:
        """The event behind what `to_json` told."""
        known = {item.name for item in fields(cls)} - {"at"}
        told = {name: value for name, value in body.items() if name in known}
        return cls(at=times.from_text(body["at"]), **told)


@dataclass(frozen=True, slots=True)
class Mark:
    """One drawn mark: column and lane (both from 0), the kind, and the events behind it."""

    column: int
    lane: int
    kind: str
    events: tuple[TraceEvent, ...]

    @property
    def word(self) -> Word:
        """Its word and shape."""
        return word_of(self.kind)


@dataclass(frozen=True, slots=True)
class Link:
    """From the mark of an act to a mark that followed from it."""

    start: Mark
    end: Mark


@dataclass(frozen=True, slots=True)
class Column:
    """One act and what followed from it, first event first.

    key: what makes later events belong to it (a family of kinds, a document), None when nothing
    """

    events: tuple[TraceEvent, ...]
    key: tuple[str, str] | None = None

    @property
    def act(self) -> TraceEvent:
        """The event that the column is about."""
        return next((event for event in self.events if event.kind in _ACTS), self.events[0])

    @property
    def late(self) -> bool:
        """Whether only documents stand here that were issued in an earlier column."""
        return self.key is None and self.act.kind in _ARRIVALS


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands over a column: what it is, and a second line that tells it from its like."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Lanes (names, by first appearance), columns and marks in order, links between marks."""

    lanes: tuple[str, ...]
    columns: tuple[Column, ...]
    marks: tuple[Mark, ...]
    links: tuple[Link, ...]


def ordered(events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """By time, then by the number the node gave them."""
    return sorted(events, key=lambda event: (event.at, event.number))


def shape(events: Iterable[TraceEvent]) -> History:
    """The history of `events`, in any order, as lanes, columns, marks and links."""
    columns = _columns(_drawn(ordered(events)))
    lanes = tuple(dict.fromkeys(name for column in columns for name in _places(column)))
    marks = tuple(
        mark for number, column in enumerate(columns) for mark in _marks(number, column, lanes)
    )
    return History(lanes, columns, marks, tuple(_links(columns, marks)))


def _drawn(in_order: Sequence[TraceEvent]) -> Iterator[TraceEvent]:
    """Without the routine, without what another event tells better, title operations once."""
    held = {(event.document, event.place) for event in in_order if event.kind == "received"}
    verified = {(event.document, event.place) for event in in_order if event.kind == "validated"}
    told: set[str] = set()
    for event in in_order:
        where = (event.document, event.place)
        if event.kind in ROUTINE or event.operation in told:
            continue
        if event.kind == "receipted" and (not event.document or where in held):
            continue
        if event.kind == "quarantined" and where in verified:
            continue
        if event.operation:
            told.add(event.operation)
        yield event


def _key(event: TraceEvent) -> tuple[str, str] | None:
    for family, kinds in (("issue", _ISSUE), ("status", _STATUS)):
        if event.document and event.kind in kinds:
            return family, event.document
    return None


def _columns(drawn: Iterable[TraceEvent]) -> tuple[Column, ...]:
    groups: list[list[TraceEvent]] = []
    keys: list[tuple[str, str] | None] = []
    of_key: dict[tuple[str, str], list[TraceEvent]] = {}
    for event in drawn:
        key = _key(event)
        group = of_key.get(key) if key else None
        if group is not None and event.at - group[0].at <= LATE:
            group.append(event)
        elif groups and keys[-1] is None and _joins(groups[-1][-1], event):
            groups[-1].append(event)
        else:
            groups.append([event])
            keys.append(key if group is None else None)
            if key and group is None:
                of_key[key] = groups[-1]
    return tuple(Column(tuple(group), key) for group, key in zip(groups, keys, strict=True))


def _joins(last: TraceEvent, event: TraceEvent) -> bool:
    """Whether `event` merely repeats its neighbour: one kind, one lane, close together."""
    single = event.kind in _ACTS or event.kind.startswith("title-")
    same = (last.place, last.kind) == (event.place, event.kind)
    return same and not single and event.at - last.at <= CLOSE


def _unseen_sender(column: Column) -> TraceEvent | None:
    """The event that tells who sent a document of whose issue nothing is known here."""
    act = column.act
    known = column.key is None or act.kind != "received" or act.actor in ("", act.place)
    return None if known else act


def _places(column: Column) -> Iterator[str]:
    sender = _unseen_sender(column)
    if sender is not None:
        yield sender.actor
    for event in column.events:
        yield event.place


def _marks(number: int, column: Column, lanes: Sequence[str]) -> Iterator[Mark]:
    """One mark per lane of the column; a failure outweighs what else happened there."""
    cells: dict[str, list[TraceEvent]] = {}
    for event in column.events:
        cells.setdefault(event.place, []).append(event)
    sender = _unseen_sender(column)
    if sender is not None and sender.actor not in cells:
        yield Mark(number, lanes.index(sender.actor), "sent", (sender,))
    for name, events in cells.items():
        kinds = [event.kind for event in events]
        bad = [kind for kind in kinds if word_of(kind).shape is Shape.DIAMOND]
        yield Mark(number, lanes.index(name), (bad or kinds)[-1], tuple(events))


def _sources(columns: Sequence[Column], marks: Iterable[Mark]) -> dict[tuple[str, str], Mark]:
    """Where the links of a key begin: the mark of the act itself, or of its unseen sender."""
    found: dict[tuple[str, str], Mark] = {}
    for mark in marks:
        column = columns[mark.column]
        acted = column.act.kind in _ACTS and column.act in mark.events
        if column.key and (acted or mark.kind == "sent"):
            found[column.key] = mark
    return found


def _links(columns: Sequence[Column], marks: Sequence[Mark]) -> Iterator[Link]:
    """From each act to its followers: straight in its own column, aslant to those that are late."""
    sources = _sources(columns, marks)
    for mark in marks:
        keys = dict.fromkeys(key for event in mark.events if (key := _key(event)))
        starts = (sources[key] for key in keys if key in sources)
        yield from (Link(start, mark) for start in starts if start.lane != mark.lane)


def captions(history: History, lang: str) -> tuple[Caption, ...]:
    """What stands over each column; a number only where one document type occurs twice."""
    issued = Counter(
        column.act.type for column in history.columns if column.key and column.key[0] == "issue"
    )
    return tuple(_caption(column, lang, issued) for column in history.columns)


def _caption(column: Column, lang: str, issued: Mapping[str, int]) -> Caption:
    act, name = column.act, type_name(column.act.type, lang)
    told = (LATER if column.late else word_of(act.kind)).text(lang)
    told = told[:1].upper() + told[1:]
    count = len(column.events)
    if column.key is None and count > 1:
        return Caption(f"{told} ×{count}", _container(column))
    if act.kind.startswith("title-"):
        return Caption(told, f"→ {act.recipient}" if act.recipient else act.actor)
    if column.key and column.key[0] == "issue":
        twice = issued[act.type] > 1
        return Caption(name or told, (_container(column) or act.label) if twice else "")
    return Caption(f"{told} · {name}" if name else told, _container(column))


def _container(column: Column) -> str:
    named = (str(event.detail.get("container", "")) for event in column.events)
    return ", ".join(dict.fromkeys(filter(None, named)))


def remark(event: TraceEvent, lang: str) -> str:
    """What else is to be said of an event, in words: who, why, about which container."""
    detail = event.detail
    if event.operation:
        return " → ".join(filter(None, (event.actor, event.recipient)))
    if event.kind == "release-hold":
        unmet = detail.get("unmet", [])
        return "; ".join(f"{_sentence(each, lang)} ({each.get('reason', '')})" for each in unmet)
    if event.kind in ("alarm", "refused", "quarantined"):
        return _sentence(detail, lang)
    if event.kind in ("revoked", "suspended", "reinstated"):
        return str(detail.get("reason", ""))
    named = (detail.get("container", ""), detail.get("collector", ""))
    return ", ".join(str(each) for each in named if each and each != event.label)


def _sentence(detail: Mapping[str, Any], lang: str) -> str:
    code = str(detail.get("code", ""))
    entry = catalogue.explain(code)
    return entry.sentence(lang).rstrip(".。") if entry else code
