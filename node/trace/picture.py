"""A history drawn as SVG, with its table twin: pure functions from events to text.

One lane per actor, time from left to right by order. Every mark has a shape and a word besides its
colour (WCAG 2.2 SC 1.4.1), a diamond is a failure; the table says the same for those who do not
look at pictures.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from zlib import crc32

from protocols.trace import History, Shape, ordered, shape, word_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.trace import Link, Mark, TraceEvent

LEFT, TOP, LANE, COLUMN, RADIUS = 190, 46, 64, 62, 9
TONES = {
    "act": "#1f4e79",
    "move": "#3d6b8e",
    "good": "#1e7d4f",
    "bad": "#b3261e",
    "title": "#6a4c93",
    "wait": "#8a6d00",
    "quiet": "#6b7280",
}
_WORDS = {
    "en": {"title": "History", "time": "Time (UTC)", "actor": "Who", "what": "What",
           "about": "About", "proof": "Proof", "none": "No events."},
    "zh": {"title": "历史", "time": "时间（UTC）", "actor": "主体", "what": "事件",
           "about": "单证", "proof": "证明", "none": "没有事件。"},
}  # fmt: skip


_CONTROLS = dict.fromkeys((*range(32), 0x7F, 0xFFFE, 0xFFFF), " ")


def _text(text: str) -> str:
    """Text for markup: escaped, and without the characters that XML 1.0 §2.2 forbids."""
    return escape(text.translate(_CONTROLS))


def _words(lang: str) -> dict[str, str]:
    return _WORDS.get(lang, _WORDS["en"])


def _x(mark: Mark) -> int:
    return LEFT + mark.column * COLUMN + COLUMN // 2


def _y(mark: Mark) -> int:
    return TOP + mark.lane * LANE + LANE // 2


def _shape(mark: Mark) -> str:
    """The mark itself, centred on its place."""
    x, y, r = _x(mark), _y(mark), RADIUS
    colour = TONES[mark.word.tone]
    paint = f'fill="{colour}" stroke="{colour}" stroke-width="2"'
    match mark.word.shape:
        case Shape.CIRCLE:
            return f'<circle cx="{x}" cy="{y}" r="{r}" {paint}/>'
        case Shape.RING:
            paint = f'fill="#fff" stroke="{colour}" stroke-width="2"'
            return f'<circle cx="{x}" cy="{y}" r="{r - 2}" {paint}/>'
        case Shape.SQUARE:
            side = 2 * r - 2
            return f'<rect x="{x - r + 1}" y="{y - r + 1}" width="{side}" height="{side}" {paint}/>'
        case Shape.TRIANGLE:
            return f'<path d="M{x - r} {y - r}L{x + r} {y}L{x - r} {y + r}Z" {paint}/>'
        case Shape.DIAMOND:
            d = r + 3
            return f'<path d="M{x} {y - d}L{x + d} {y}L{x} {y + d}L{x - d} {y}Z" {paint}/>'


def _mark(mark: Mark, lang: str) -> str:
    # Neighbouring columns write above and below their marks, so that words do not meet.
    below = mark.column % 2 == 0
    y = _y(mark) + (RADIUS + 15 if below else -RADIUS - 7)
    colour = TONES[mark.word.tone]
    first = mark.events[0]
    told = "; ".join(dict.fromkeys(event.label for event in mark.events if event.label))
    hint = f"{first.at:%H:%M:%S} {first.actor}: {mark.label(lang)} {told}".strip()
    return (
        f"<g><title>{_text(hint)}</title>{_shape(mark)}"
        f'<text x="{_x(mark)}" y="{y}" text-anchor="middle" font-size="10" fill="{colour}">'
        f"{_text(mark.label(lang))}</text></g>"
    )


def _link(link: Link) -> str:
    x1, y1, x2, y2 = _x(link.start), _y(link.start), _x(link.end), _y(link.end)
    return f'<path d="M{x1} {y1}L{x2} {y2}" fill="none" stroke="#c3cad4" stroke-width="1.5"/>'


def _lane(number: int, name: str, width: int) -> str:
    middle = TOP + number * LANE + LANE // 2
    shade = "#f6f7f9" if number % 2 == 0 else "#ffffff"
    return (
        f'<rect x="0" y="{TOP + number * LANE}" width="{width}" height="{LANE}" fill="{shade}"/>'
        f'<path d="M{LEFT} {middle}H{width - 12}" stroke="#e2e6eb"/>'
        f'<text x="12" y="{middle + 4}" font-size="12" fill="#1a1d21">{_text(name)}</text>'
    )


def _clock(history: History) -> str:
    """The time above every fourth column."""
    return "".join(
        f'<text x="{_x(mark)}" y="{TOP - 12}" text-anchor="middle" font-size="10" fill="#6b7280">'
        f"{mark.events[0].at:%H:%M:%S}</text>"
        for mark in history.marks
        if mark.column % 4 == 0
    )


def history_svg(events: Iterable[TraceEvent], lang: str = "en") -> str:
    """The history as one SVG element that needs nothing from outside. `lang`: en or zh."""
    history, words = shape(events), _words(lang)
    # Several pictures may stand on one page, and identifiers are unique there.
    name = f"history-{crc32(_told(history, lang).encode()):08x}"
    width = LEFT + max(history.columns, 4) * COLUMN + 24
    height = TOP + max(len(history.lanes), 1) * LANE + 20
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="{name}-title {name}-text" '
        f'font-family="system-ui, sans-serif" lang="{_text(lang)}">'
    )
    drawn = [
        frame,
        f'<title id="{name}-title">{words["title"]}</title>',
        f'<desc id="{name}-text">{_text(_told(history, lang))}</desc>',
        *(_lane(number, lane, width) for number, lane in enumerate(history.lanes)),
        _clock(history),
        *(_link(link) for link in history.links),
        *(_mark(mark, lang) for mark in history.marks),
        "</svg>",
    ]
    return "".join(drawn)


def _told(history: History, lang: str) -> str:
    if not history.marks:
        return _words(lang)["none"]
    return "; ".join(
        f"{history.lanes[mark.lane]}: {mark.label(lang)}" for mark in history.marks[:200]
    )


def history_table(events: Iterable[TraceEvent], lang: str = "en") -> str:
    """The same history as an HTML table, one row per event."""
    words = _words(lang)
    head = "".join(
        f'<th scope="col">{words[name]}</th>'
        for name in ("time", "actor", "what", "about", "proof")
    )
    rows = "".join(_row(event, lang) for event in ordered(events))
    return (
        f"<table><caption>{words['title']}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(event: TraceEvent, lang: str) -> str:
    word = word_of(event.kind)
    mark = "◆ " if word.shape is Shape.DIAMOND else ""
    cells = (
        f"{event.at:%Y-%m-%d %H:%M:%S}.{event.at.microsecond // 1000:03d}",
        event.actor,
        mark + word.text(lang),
        event.label or event.document[:16],
        event.proof or event.leaf[:16],
    )
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"
