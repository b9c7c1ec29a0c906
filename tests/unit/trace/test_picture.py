"""The drawn history and its table twin: well-formed, explained, nothing over anything else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from node.trace.picture import LEFT, history_svg
from node.trace.table import history_table
from node.trace.text import width, wrap
from protocols.trace import WORDS, TraceEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
T0 = datetime(2026, 11, 18, 8, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def event(seconds: float, actor: str, kind: str, **more: Any) -> TraceEvent:
    return TraceEvent(T0 + timedelta(seconds=seconds), actor, kind, **more)


PHYTO: dict[str, Any] = {"document": "ab" * 32, "type": "phytosanitary-certificate", "label": "P-1"}
STORY = [
    event(0, "cn-cert", "issued", **PHYTO),
    event(0.4, "cn-cert", "received", lane="nl-port", **PHYTO),
    event(1, "nhl", "title-issue", recipient="Exporter"),
    event(5, "cn-cert", "revoked", proof="/log/proof?leaf=cd", leaf="cd", **PHYTO),
    event(5.2, "cn-cert", "status-changed", lane="nl-port", **PHYTO),
    event(6, "nl-port", "release-hold", detail={"container": "BOX"}),
    event(7, "nl-port", "release-clear", detail={"container": "BOX"}),
    event(7.5, "nl-port", "released", detail={"container": "BOX"}),
    event(90_000, "nl-port", "who-knows"),
]


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ("HOLD", "Phytosanitary certificate", "title operation", "failure: revoked")),
        ("zh", ("扣留", "植物检疫证书", "权属操作", "失败：撤销")),
        ("fr", ("HOLD", "issued")),
    ],
)
def test_the_picture_is_well_formed_and_explains_its_shapes(
    lang: str, words: tuple[str, ...]
) -> None:
    picture = etree.fromstring(history_svg(STORY, lang).encode())
    assert picture.tag == f"{SVG}svg"
    told = " ".join(map(str, picture.itertext()))
    for word in words:
        assert word in told
    assert "◆" in history_table(STORY, lang)


def test_every_mark_has_a_tooltip_with_time_place_document_and_digest() -> None:
    hints = re.findall(r"<g><title>(.*?)</title>", history_svg(STORY))
    first = hints[0]
    for part in ("08:00:00", "cn-cert", "issued", "Phytosanitary certificate P-1", "abababababab…"):
        assert part in first
    assert len(hints) == 9


def test_the_day_is_told_where_it_changes() -> None:
    picture = history_svg(STORY)
    assert picture.count(">2026-11-18<") == 1
    assert picture.count(">2026-11-19<") == 1


def test_words_of_neighbours_in_one_lane_stand_on_different_sides() -> None:
    many = [event(second, "nl-port", kind, label=str(second))
            for second in range(20) for kind in ("quarantined",)]  # fmt: skip
    picture = etree.fromstring(history_svg(many).encode())
    spoken = [text for text in picture.iter(f"{SVG}text") if text.get("paint-order")]
    sides = [text.get("y") for text in spoken]
    assert len(set(sides)) == 2


def test_lane_names_stay_left_of_the_marks() -> None:
    long = "Maas Delta Customs and Plant Health Desk and Everything Else of the Whole Wide Delta"
    for name in (long, "马斯三角洲海关与植检处" * 4, "x" * 200):
        for row in (rows := wrap(name, 12, LEFT - 22, 3)):
            assert width(row, 12) <= LEFT - 22
        assert len(rows) <= 3
        assert rows[-1].endswith("…")
    assert wrap("Northern Heron Lines", 12, LEFT - 22, 3) == ["Northern Heron Lines"]


def test_forty_acts_take_at_most_one_and_a_half_screens() -> None:
    many = [event(second, "nhl", "issued", document=f"{second:02d}") for second in range(40)]
    found = re.search(r'width="(\d+)"', history_svg(many))
    assert found is not None
    assert int(found[1]) <= 2100


def test_an_empty_history_is_a_picture_too() -> None:
    assert "No events." in history_svg([])


@given(st.lists(st.tuples(TEXT, st.sampled_from(sorted(WORDS)), TEXT)))
def test_the_table_leaves_no_event_out_and_foreign_text_never_breaks_the_markup(
    given_events: list[tuple[str, str, str]],
) -> None:
    events = [
        event(at, actor, kind, document=label, label=label, type=label, recipient=label)
        for at, (actor, kind, label) in enumerate(given_events)
    ]
    table = history_table(events)
    assert table.count("<tr>") == len(events) + 1
    etree.fromstring(history_svg(events).encode("utf-8", "replace"))
    etree.fromstring(table.encode("utf-8", "replace"))
