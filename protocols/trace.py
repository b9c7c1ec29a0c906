"""The history of a document or consignment as ordered marks in lanes, one lane per actor.

Pure shaping of a node's events (`node.store.events`) or of several nodes' events put together:
order by time, then by their own order; neighbours of one actor and one kind that lie close
together become one mark with a count, nothing is left out. A mark has a word and a shape besides
its colour, so the picture reads without colour; failures are diamonds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from protocols import times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

CLOSE = timedelta(milliseconds=400)


class Shape(StrEnum):
    """How a mark is drawn."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    RING = "ring"
    DIAMOND = "diamond"  # a failure, always


@dataclass(frozen=True, slots=True)
class Word:
    """One kind of event: its words, its shape, and the tone that colours it."""

    en: str
    zh: str
    shape: Shape
    tone: str

    def text(self, lang: str) -> str:
        """The word in English (``en``) or Chinese (``zh``)."""
        return self.zh if lang == "zh" else self.en


_OTHER = Word("noted", "记录", Shape.RING, "quiet")
WORDS: Mapping[str, Word] = MappingProxyType(
    {
        "issued": Word("issued", "签发", Shape.CIRCLE, "act"),
        "sent": Word("sent", "发送", Shape.TRIANGLE, "move"),
        "receipted": Word("receipted", "回执", Shape.RING, "quiet"),
        "received": Word("received", "收到", Shape.SQUARE, "move"),
        "validated": Word("verified", "已验证", Shape.CIRCLE, "good"),
        "quarantined": Word("not yet known", "待定", Shape.RING, "wait"),
        "refused": Word("refused", "拒绝", Shape.DIAMOND, "bad"),
        "revoked": Word("revoked", "撤销", Shape.DIAMOND, "bad"),
        "status-changed": Word("status changed", "状态变更", Shape.DIAMOND, "bad"),
        "decided": Word("decided", "决定", Shape.SQUARE, "act"),
        "title-issue": Word("title issued", "权属签发", Shape.CIRCLE, "title"),
        "title-transfer": Word("title transferred", "权属转让", Shape.TRIANGLE, "title"),
        "title-endorse": Word("endorsed", "背书", Shape.TRIANGLE, "title"),
        "title-surrender-for-delivery": Word("surrendered", "交回", Shape.SQUARE, "title"),
        "title-accept-surrender": Word("surrender accepted", "接受交回", Shape.SQUARE, "title"),
        "title-end": Word("title ended", "权属终止", Shape.SQUARE, "title"),
        "title-final": Word("title final", "权属最终", Shape.RING, "title"),
        "title-refused": Word("title refused", "权属拒绝", Shape.DIAMOND, "bad"),
        "release-clear": Word("clear", "可放行", Shape.RING, "good"),
        "gate-out": Word("gate out", "出闸", Shape.TRIANGLE, "move"),
        "released": Word("released", "放行", Shape.CIRCLE, "good"),
        "release-hold": Word("HOLD", "扣留", Shape.DIAMOND, "bad"),
        "checkpoint": Word("checkpoint", "检查点", Shape.RING, "quiet"),
        "witnessed": Word("witnessed", "已见证", Shape.RING, "quiet"),
        "member-list": Word("member list", "成员名单", Shape.RING, "quiet"),
        "alarm": Word("ALARM", "警报", Shape.DIAMOND, "bad"),
        "exported": Word("exported", "导出", Shape.RING, "quiet"),
    }
)


def word_of(kind: str) -> Word:
    """The words and the shape of an event kind; an unknown kind is shown as noted."""
    if kind in WORDS:
        return WORDS[kind]
    return WORDS["title-final"] if kind.startswith("title-") else _OTHER


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a history.

    actor:    the lane: the organisation at which it happened
    document: hex digest, or ""; label: what the event is about, for people (type and number)
    leaf:     hex hash of the log leaf, or ""; proof: where the proof is found, or ""
    """

    at: datetime
    actor: str
    kind: str
    document: str = ""
    label: str = ""
    leaf: str = ""
    proof: str = ""
    consignment: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """The event with its word; empty members are left out."""
        body: dict[str, Any] = {
            "at": times.to_text(self.at),
            "actor": self.actor,
            "kind": self.kind,
            "word": word_of(self.kind).text(lang),
            "document": self.document,
            "label": self.label,
            "consignment": self.consignment,
            "leaf": self.leaf,
            "proof": self.proof,
            "detail": dict(self.detail),
        }
        return {name: value for name, value in body.items() if value not in ("", {})}


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

    def label(self, lang: str) -> str:
        """The word, and how many events it stands for when more than one."""
        count = len(self.events)
        told = self.word.text(lang)
        return f"{told} ×{count}" if count > 1 else told


@dataclass(frozen=True, slots=True)
class Link:
    """A document on its way: from the mark that sent it to the mark that received it."""

    start: Mark
    end: Mark


@dataclass(frozen=True, slots=True)
class History:
    """Lanes (actor names, by first appearance), marks in order, links between lanes."""

    lanes: tuple[str, ...]
    marks: tuple[Mark, ...]
    links: tuple[Link, ...]

    @property
    def columns(self) -> int:
        """How many columns the marks take."""
        return self.marks[-1].column + 1 if self.marks else 0


def ordered(events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """By time, then by the number the node gave them."""
    return sorted(events, key=lambda event: (event.at, event.number))


def shape(events: Iterable[TraceEvent]) -> History:
    """The history of `events`, in any order, as lanes, marks and links."""
    in_order = ordered(events)
    lanes = tuple(dict.fromkeys(event.actor for event in in_order))
    groups: list[list[TraceEvent]] = []
    for event in in_order:
        if groups and _joins(groups[-1], event):
            groups[-1].append(event)
        else:
            groups.append([event])
    marks = tuple(
        Mark(column, lanes.index(group[0].actor), group[0].kind, tuple(group))
        for column, group in enumerate(groups)
    )
    return History(lanes, marks, tuple(_links(marks)))


def _joins(group: Sequence[TraceEvent], event: TraceEvent) -> bool:
    last = group[-1]
    same = (last.actor, last.kind) == (event.actor, event.kind)
    return same and event.at - last.at <= CLOSE


def _links(marks: Sequence[Mark]) -> Iterable[Link]:
    """For each document received: the last mark before it that sent or issued it elsewhere."""
    seen: dict[str, Mark] = {}
    drawn: set[tuple[int, int]] = set()
    for mark in marks:
        for event in mark.events:
            start = seen.get(event.document)
            if mark.kind == "received" and start is not None and start.lane != mark.lane:
                if (start.column, mark.column) not in drawn:
                    drawn.add((start.column, mark.column))
                    yield Link(start, mark)
            elif event.document and mark.kind in ("issued", "sent"):
                seen[event.document] = mark
