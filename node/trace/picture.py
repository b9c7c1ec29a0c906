"""A history drawn as SVG: a pure function from events to text, nothing needed from outside.

Lanes are organisations, columns are acts in order of time with their caption on top, the clock runs
below. Shapes say what a mark is and a legend explains those that occur (WCAG 2.2 SC 1.4.1); words
stand beside marks only where something is out of the ordinary; the rest is in each mark's tooltip.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin
from typing import TYPE_CHECKING
from zlib import crc32

from node.trace.text import safe, safe_lines, width, wrap
from protocols.trace import Shape, captions, remark, shape
from protocols.trace_words import FAMILIES, word_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from protocols.trace import Caption, History, Link, Mark, TraceEvent

FIT, LEFT, LANE, RADIUS = 1300, 176, 54, 8
NARROWEST, WIDEST = 38, 76
TILT = radians(60)
CAPTION, CAPTION_ROOM, SMALL, LINE = 11.5, 156, 10.5, 12.5
FONTS = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
INK, GREY, LINKS = "#1a1d21", "#5b6470", "#7f8b99"
TONES = {
    "act": "#1f4e79",
    "move": "#3d6b8e",
    "good": "#1e7d4f",
    "bad": "#b3261e",
    "title": "#6a4c93",
    "wait": "#8a6d00",
    "quiet": GREY,
}
_WORDS = {
    "en": {"title": "History", "none": "No events.", "time": "Time (UTC)"},
    "zh": {"title": "历史", "none": "没有事件。", "time": "时间（UTC）"},
}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Where things stand: the height of the captions, the width of a column."""

    history: History
    captions: tuple[Caption, ...]
    lang: str
    top: float
    column: float
    width: float

    @property
    def bottom(self) -> float:
        return self.top + max(len(self.history.lanes), 1) * LANE

    def x(self, column: int) -> float:
        return round(LEFT + (column + 0.5) * self.column, 1)

    def y(self, lane: int) -> float:
        return round(self.top + (lane + 0.5) * LANE, 1)


def history_svg(events: Iterable[TraceEvent], lang: str = "en") -> str:
    """The history as one SVG element that needs nothing from outside. `lang`: en or zh."""
    lang = lang if lang in _WORDS else "en"
    sheet = _sheet(shape(events), lang)
    told = _told(sheet)
    # Several pictures may stand on one page, and identifiers are unique there.
    name = f"history-{crc32(told.encode()):08x}"
    legend, end = _legend(sheet)
    return "".join(
        (
            _frame(name, sheet, end),
            f'<title id="{name}-title">{_WORDS[lang]["title"]}</title>',
            f'<desc id="{name}-text">{safe(told)}</desc>',
            *_lanes(sheet),
            *_captions(sheet),
            *_clock(sheet),
            *(_link(sheet, link) for link in sheet.history.links),
            *(_mark(sheet, mark) for mark in sheet.history.marks),
            *_loud_words(sheet),
            legend,
            "</svg>",
        )
    )


def _frame(name: str, sheet: _Sheet, end: float) -> str:
    across, down = f"{sheet.width:.0f}", f"{end:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" '
        f'height="{down}" role="img" aria-labelledby="{name}-title {name}-text" '
        f'lang="{sheet.lang}" font-family="{FONTS}">'
    )


def _sheet(history: History, lang: str) -> _Sheet:
    made = captions(history, lang)
    longest = max((width(line, CAPTION) for each in made for line in _rows(each)), default=0)
    overhang = longest * cos(TILT) + 12
    count = max(len(made), 1)
    column = min(max((FIT - LEFT - overhang) / count, NARROWEST), WIDEST)
    across = max(LEFT + count * column + overhang, 640)
    return _Sheet(history, made, lang, longest * sin(TILT) + 26, column, across)


def _rows(caption: Caption) -> list[str]:
    """The lines of a caption: its name in one or two, and what tells it from its like."""
    about = wrap(caption.about, CAPTION, CAPTION_ROOM, 1)
    return wrap(caption.name, CAPTION, CAPTION_ROOM, 2) + about


def _lanes(sheet: _Sheet) -> Iterator[str]:
    for number, name in enumerate(sheet.history.lanes):
        shade = "#f3f5f8" if number % 2 == 0 else "#ffffff"
        y = sheet.y(number)
        yield (
            f'<rect x="0" y="{y - LANE / 2}" width="{sheet.width:.0f}" height="{LANE}" '
            f'fill="{shade}"/><path d="M{LEFT} {y}H{sheet.width - 8:.0f}" stroke="#dde2e8"/>'
        )
        rows = wrap(name, 12, LEFT - 22, 3)
        lines = "".join(
            f'<text x="10" y="{y + 4 + (row - (len(rows) - 1) / 2) * 15:.1f}">{safe(text)}</text>'
            for row, text in enumerate(rows)
        )
        yield f'<g font-size="12" fill="{INK}"><title>{safe(name)}</title>{lines}</g>'


def _captions(sheet: _Sheet) -> Iterator[str]:
    for number, caption in enumerate(sheet.captions):
        x, rows = sheet.x(number), _rows(caption)
        bad = word_of(sheet.history.columns[number].act.kind).shape is Shape.DIAMOND
        name_rows = len(rows) - bool(caption.about)
        lines = "".join(
            f'<text y="{(row - (len(rows) - 1) / 2) * LINE + 4:.1f}"'
            f"{'' if row < name_rows else f' fill={chr(34)}{GREY}{chr(34)}'}>{safe(text)}</text>"
            for row, text in enumerate(rows)
        )
        colour = TONES["bad"] if bad else INK
        yield (
            f'<path d="M{x} {sheet.top - 4:.1f}V{sheet.bottom:.1f}" stroke="#e3e7ec"/>'
            f'<g transform="translate({x} {sheet.top - 10:.1f}) rotate(-60)" '
            f'font-size="{CAPTION}" fill="{colour}">{lines}</g>'
        )


def _clock(sheet: _Sheet) -> Iterator[str]:
    """The time of each column below it, wherever there is room; the day where it changes."""
    y, free, day = sheet.bottom + 16, 0.0, None
    style = f'font-size="{SMALL}" fill="{GREY}"'
    yield f'<text x="10" y="{y:.1f}" {style}>{_WORDS[sheet.lang]["time"]}</text>'
    for number, column in enumerate(sheet.history.columns):
        at, x = column.events[0].at, sheet.x(number)
        if x < free:
            continue
        free = x + width("00:00:00", SMALL) + 14
        place = f'x="{x}" text-anchor="middle" {style}'
        yield f'<path d="M{x} {sheet.bottom:.1f}v5" stroke="{GREY}"/>'
        yield f'<text y="{y:.1f}" {place}>{at:%H:%M:%S}</text>'
        if at.date() != day:
            day = at.date()
            yield f'<text y="{y + 13:.1f}" {place}>{day}</text>'


def _link(sheet: _Sheet, link: Link) -> str:
    ends = [(sheet.x(mark.column), sheet.y(mark.lane)) for mark in (link.start, link.end)]
    (x1, y1), (x2, y2) = ends
    return f'<path d="M{x1} {y1}L{x2} {y2}" fill="none" stroke="{LINKS}" stroke-width="1.5"/>'


def _figure(drawn: Shape, tone: str, x: float, y: float) -> str:
    """One shape, centred on its place."""
    r, colour = RADIUS, TONES[tone]
    paint = f'fill="{colour}" stroke="{colour}" stroke-width="2"'
    match drawn:
        case Shape.CIRCLE:
            return f'<circle cx="{x}" cy="{y}" r="{r}" {paint}/>'
        case Shape.RING:
            paint = f'fill="#fff" stroke="{colour}" stroke-width="2.5"'
            return f'<circle cx="{x}" cy="{y}" r="{r - 2}" {paint}/>'
        case Shape.SQUARE:
            side = 2 * r - 4
            return f'<rect x="{x - r + 2}" y="{y - r + 2}" width="{side}" height="{side}" {paint}/>'
        case Shape.TRIANGLE:
            return f'<path d="M{x - r + 2} {y - r}L{x + r} {y}L{x - r + 2} {y + r}Z" {paint}/>'
        case Shape.TICK:
            tick = f'<path d="M{x - 4} {y}l3 4 5.5 -8" fill="none" stroke="#fff" stroke-width="2"/>'
            return f'<circle cx="{x}" cy="{y}" r="{r + 1}" {paint}/>{tick}'
        case Shape.DIAMOND:
            d = r + 2
            return f'<path d="M{x} {y - d}L{x + d} {y}L{x} {y + d}L{x - d} {y}Z" {paint}/>'


def _mark(sheet: _Sheet, mark: Mark) -> str:
    hints = (_hint(event, mark.kind, sheet.lang) for event in mark.events)
    drawn = _figure(mark.word.shape, mark.word.tone, sheet.x(mark.column), sheet.y(mark.lane))
    return f"<g><title>{safe_lines(hints)}</title>{drawn}</g>"


def _hint(event: TraceEvent, kind: str, lang: str) -> str:
    """The tooltip of one event: when, who, what, which document, its digest, and the rest."""
    kind = kind if kind == "sent" else event.kind
    who = event.actor if kind == "sent" else event.place
    parts = (
        f"{event.at:%Y-%m-%d %H:%M:%S}.{event.at.microsecond // 1000:03d}",
        who,
        word_of(kind).text(lang),
        event.about(lang),
        f"{event.document[:12]}…" if event.document else "",
        remark(event, lang),
    )
    return " · ".join(part for part in parts if part)


def _loud_words(sheet: _Sheet) -> Iterator[str]:
    """The words of what is out of the ordinary, below their marks or above where one is close."""
    free: dict[int, float] = {}
    for mark in sheet.history.marks:
        text = mark.word.text(sheet.lang)
        if not mark.word.loud:
            continue
        half, x = width(text, SMALL) / 2, sheet.x(mark.column)
        above = x - half < free.get(mark.lane, 0)
        if not above:
            free[mark.lane] = x + half + 6
        y = sheet.y(mark.lane) + (-RADIUS - 5 if above else RADIUS + 14)
        yield (
            f'<text x="{x}" y="{y:.1f}" text-anchor="middle" font-size="{SMALL}" '
            # The halo keeps the word readable where a link runs behind it.
            'font-weight="600" paint-order="stroke" stroke="#fff" stroke-width="3" '
            f'fill="{TONES[mark.word.tone]}">{safe(text)}</text>'
        )


def _legend(sheet: _Sheet) -> tuple[str, float]:
    """The shapes that occur with their words, in rows below the clock; and where they end."""
    entries: dict[tuple[Shape, str], dict[str, None]] = {}
    for mark in sheet.history.marks:
        word = mark.word
        tone = "quiet" if word.shape is Shape.RING and word.tone != "good" else word.tone
        entries.setdefault((word.shape, tone), {})[word.text(sheet.lang)] = None
    x, y, drawn = 18.0, sheet.bottom + 54, []
    for (figure, tone), words in sorted(
        entries.items(), key=lambda item: list(Shape).index(item[0][0])
    ):
        text = _explained(figure, list(words), sheet.lang)
        if x > 18 and x + 18 + width(text, 12) > sheet.width:
            x, y = 18.0, y + 24
        drawn.append(_figure(figure, tone, x, y))
        drawn.append(
            f'<text x="{x + 16}" y="{y + 4}" font-size="12" fill="{INK}">{safe(text)}</text>'
        )
        x = round(x + width(text, 12) + 46, 1)
    return "".join(drawn), y + 20 if drawn else y - 18


def _explained(figure: Shape, words: list[str], lang: str) -> str:
    between, after = ("、", "：") if lang == "zh" else (", ", ": ")
    told = between.join(words)
    if figure not in FAMILIES:
        return told
    family = FAMILIES[figure][lang == "zh"]
    return family if figure is Shape.TRIANGLE else f"{family}{after}{told}"


def _told(sheet: _Sheet) -> str:
    """The history in one sentence per column, for those who hear it."""
    if not sheet.captions:
        return _WORDS[sheet.lang]["none"]
    lines = []
    for column, caption in zip(sheet.history.columns[:200], sheet.captions, strict=False):
        about = f" ({caption.about})" if caption.about else ""
        lines.append(f"{column.act.place}: {caption.name}{about}")
    return "; ".join(lines)
