"""The table twin of a history: every event in one row, for those who do not look at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.trace.text import safe
from protocols.trace import Shape, ordered, remark, word_of
from protocols.trace_words import type_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.trace import TraceEvent

_HEADS = {
    "en": ("Time (UTC)", "Where", "What", "Document", "Number", "Digest", "Remarks", "Log leaf"),
    "zh": ("时间（UTC）", "地点", "事件", "单证", "编号", "摘要", "备注", "日志叶"),
}
_CAPTION = {"en": "History", "zh": "历史"}


def history_table(events: Iterable[TraceEvent], lang: str = "en") -> str:
    """All `events` as an HTML table in order of time. `lang`: en or zh."""
    language = lang if lang in _HEADS else "en"
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADS[language])
    rows = "".join(_row(event, language) for event in ordered(events))
    return (
        f"<table><caption>{_CAPTION[language]}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(event: TraceEvent, lang: str) -> str:
    word = word_of(event.kind)
    mark = "◆ " if word.shape is Shape.DIAMOND else ""
    cells = (
        f"{event.at:%Y-%m-%d %H:%M:%S}.{event.at.microsecond // 1000:03d}",
        event.place,
        mark + word.text(lang),
        type_name(event.type, lang),
        event.label,
        _short(event.document),
        remark(event, lang),
    )
    told = "".join(f"<td>{safe(cell)}</td>" for cell in cells)
    # The whole reference of the proof stays in reach; on the page its beginning is enough.
    return f'<tr>{told}<td title="{safe(event.proof)}">{safe(_short(event.leaf))}</td></tr>'


def _short(digest: str) -> str:
    return f"{digest[:12]}…" if digest else ""
