"""The words and shapes of a history: what each kind of event is called, and how it is drawn.

A mark says by its shape what it is, its colour only repeats it (WCAG 2.2 SC 1.4.1): circles are
issued, squares are received, triangles are title operations, ticks are releases, diamonds are
failures and nothing else is a diamond.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from schemas import registry

if TYPE_CHECKING:
    from collections.abc import Mapping


class Shape(StrEnum):
    """How a mark is drawn."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    TICK = "tick"
    RING = "ring"
    DIAMOND = "diamond"  # a failure, always


@dataclass(frozen=True, slots=True)
class Word:
    """One kind of event: its words, its shape, and the tone that colours it.

    loud: the word stands beside its mark, not only in the legend: it is out of the ordinary
    """

    en: str
    zh: str
    shape: Shape
    tone: str
    loud: bool = False

    def text(self, lang: str) -> str:
        """The word in English (``en``) or Chinese (``zh``)."""
        return self.zh if lang == "zh" else self.en


_OTHER = Word("noted", "记录", Shape.RING, "quiet")
WORDS: Mapping[str, Word] = MappingProxyType(
    {
        "issued": Word("issued", "签发", Shape.CIRCLE, "act"),
        "sent": Word("sent", "发送", Shape.RING, "quiet"),
        "receipted": Word("receipted", "回执", Shape.SQUARE, "move"),
        "received": Word("received", "收到", Shape.SQUARE, "move"),
        "validated": Word("verified", "已验证", Shape.RING, "good"),
        "inconsistent": Word("papers disagree", "单证不一致", Shape.RING, "wait", loud=True),
        "quarantined": Word("not yet known", "待定", Shape.RING, "wait", loud=True),
        "refused": Word("refused", "拒绝", Shape.DIAMOND, "bad", loud=True),
        "revoked": Word("revoked", "撤销", Shape.DIAMOND, "bad", loud=True),
        "suspended": Word("suspended", "暂停", Shape.RING, "wait", loud=True),
        "reinstated": Word("reinstated", "恢复", Shape.RING, "good", loud=True),
        "status-changed": Word("learned of it", "获知状态变化", Shape.DIAMOND, "bad"),
        "decided": Word("decided", "决定", Shape.CIRCLE, "act"),
        "title-issue": Word("title issued", "权属签发", Shape.TRIANGLE, "title"),
        "title-transfer": Word("title transferred", "权属转让", Shape.TRIANGLE, "title"),
        "title-endorse": Word("endorsed", "背书", Shape.TRIANGLE, "title"),
        "title-endorse-to-order": Word("endorsed to order", "指示背书", Shape.TRIANGLE, "title"),
        "title-blank-endorse": Word("endorsed in blank", "空白背书", Shape.TRIANGLE, "title"),
        "title-offer": Word("transfer offered", "提出转让", Shape.TRIANGLE, "title"),
        "title-accept-offer": Word("offer accepted", "接受转让", Shape.TRIANGLE, "title"),
        "title-decline-offer": Word("offer declined", "谢绝转让", Shape.TRIANGLE, "title"),
        "title-cancel-offer": Word("offer withdrawn", "撤回转让", Shape.TRIANGLE, "title"),
        "title-surrender-for-delivery": Word(
            "surrendered for delivery", "交回提货", Shape.TRIANGLE, "title"
        ),
        "title-surrender-for-amendment": Word(
            "surrendered for amendment", "交回修改", Shape.TRIANGLE, "title"
        ),
        "title-accept-surrender": Word("surrender accepted", "接受交回", Shape.TRIANGLE, "title"),
        "title-reject-surrender": Word("surrender rejected", "拒绝交回", Shape.TRIANGLE, "title"),
        "title-end": Word("title ended", "权属终止", Shape.TRIANGLE, "title"),
        "title-final": Word("title final", "权属最终", Shape.RING, "title"),
        "title-refused": Word("title refused", "权属拒绝", Shape.DIAMOND, "bad", loud=True),
        "release-clear": Word("clear", "可放行", Shape.RING, "good", loud=True),
        "released": Word("released", "放行", Shape.TICK, "good", loud=True),
        "gate-out": Word("gate out", "出闸", Shape.TICK, "move", loud=True),
        "release-hold": Word("HOLD", "扣留", Shape.DIAMOND, "bad", loud=True),
        "pick-up-delegated": Word("pick-up right", "提箱权转授", Shape.CIRCLE, "act"),
        "pick-up-revoked": Word("right revoked", "提箱权撤销", Shape.DIAMOND, "bad", loud=True),
        "origin-verification": Word(
            "verification asked", "请求核查", Shape.RING, "wait", loud=True
        ),
        "preference-refused": Word(
            "preference refused", "拒绝优惠", Shape.DIAMOND, "bad", loud=True
        ),
        "origin-answered": Word("answered", "答复", Shape.CIRCLE, "act"),
        "origin-determined": Word("determined", "认定", Shape.CIRCLE, "act"),
        "basis-lost": Word("basis lost", "依据丧失", Shape.DIAMOND, "bad", loud=True),
        "basis-unknown": Word("basis not here", "依据未在此", Shape.RING, "wait", loud=True),
        "basis-feedback": Word("told how much stood on it", "反馈依据情况", Shape.RING, "quiet"),
        "balance-reserved": Word("reserved", "预留", Shape.RING, "quiet"),
        "balance-written-off": Word("written off", "核销", Shape.CIRCLE, "act"),
        "balance-released": Word("reserve released", "释放预留", Shape.RING, "quiet"),
        "balance-refused": Word("use refused", "拒绝使用", Shape.DIAMOND, "bad", loud=True),
        "post-clearance": Word("look again", "后续核查", Shape.RING, "wait", loud=True),
        "order-leased": Word("leased to a gate", "租用给闸口", Shape.RING, "quiet"),
        "order-void-at-gate": Word("void at the gate", "闸口已作废", Shape.RING, "quiet"),
        "gate-refused": Word("gate refused", "闸口拒绝", Shape.DIAMOND, "bad", loud=True),
        "gate-manual": Word("opened by hand", "人工放行", Shape.RING, "wait", loud=True),
        "checkpoint": Word("checkpoint", "检查点", Shape.RING, "quiet"),
        "witnessed": Word("witnessed", "已见证", Shape.RING, "quiet"),
        "member-list": Word("member list", "成员名单", Shape.RING, "quiet"),
        "alarm": Word("ALARM", "警报", Shape.DIAMOND, "bad", loud=True),
        "exported": Word("evidence exported", "导出证据", Shape.RING, "quiet"),
    }
)
_OTHER_TITLE = Word("title operation", "权属操作", Shape.TRIANGLE, "title")
LATER = Word("received later", "稍后收到", Shape.SQUARE, "move")
FAMILIES: Mapping[Shape, tuple[str, str]] = MappingProxyType(
    {
        Shape.TRIANGLE: ("title operation", "权属操作"),
        Shape.DIAMOND: ("failure", "失败"),
    }
)


def word_of(kind: str) -> Word:
    """The words and the shape of an event kind; an unknown kind is shown as noted."""
    return WORDS.get(kind, _OTHER_TITLE if kind.startswith("title-") else _OTHER)


def type_name(key: str, lang: str) -> str:
    """What people call a document type; an unknown key stays as it is."""
    found = registry.document_types().get(key)
    if found is None:
        return key
    return found.name_zh if lang == "zh" else found.name_en
