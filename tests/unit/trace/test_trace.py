"""History shaping and drawing: order, lanes, grouping, links, shapes, the table twin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from node.trace.picture import history_svg, history_table
from protocols.trace import WORDS, Shape, TraceEvent, shape, word_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
T0 = datetime(2026, 11, 18, 8, tzinfo=UTC)


def event(seconds: float, actor: str, kind: str, **more: object) -> TraceEvent:
    return TraceEvent(T0 + timedelta(seconds=seconds), actor, kind, **more)


STORY = [
    event(2, "nl-port", "received", document="aa", label="phytosanitary P-1"),
    event(0, "cn-cert", "issued", document="aa", label="phytosanitary P-1"),
    event(1, "cn-cert", "sent", document="aa"),
    event(1.1, "cn-cert", "sent", document="bb"),
    event(2.1, "nl-port", "received", document="bb"),
    event(5, "cn-cert", "revoked", document="aa", proof="/v1/log/1"),
    event(6, "nl-port", "release-hold"),
    event(7, "nl-port", "title-void-something"),
    event(8, "nl-port", "who-knows"),
]


def test_marks_are_in_order_of_time_and_neighbours_of_one_kind_share_a_mark() -> None:
    history = shape(STORY)
    assert history.lanes == ("cn-cert", "nl-port")
    told = [(mark.kind, len(mark.events)) for mark in history.marks]
    assert told[:3] == [("issued", 1), ("sent", 2), ("received", 2)]
    assert history.marks[1].label("en") == "sent ×2"
    assert history.columns == 7


def test_one_link_leads_from_sender_to_receiver() -> None:
    (link,) = shape(STORY).links
    assert (link.start.kind, link.end.kind) == ("sent", "received")


def test_failures_are_diamonds_and_only_failures() -> None:
    assert {kind for kind, word in WORDS.items() if word.shape is Shape.DIAMOND} == {
        kind for kind, word in WORDS.items() if word.tone == "bad"
    }
    assert word_of("title-anything").tone == "title"
    assert word_of("nothing").en == "noted"


def test_the_picture_is_well_formed_and_says_its_words_in_both_languages() -> None:
    for lang, word in (("en", "HOLD"), ("zh", "扣留"), ("fr", "HOLD")):
        picture = history_svg(STORY, lang)
        assert etree.fromstring(picture.encode()).tag.endswith("svg")
        assert word in picture
        assert "◆" in history_table(STORY, lang)


def test_an_empty_history_is_a_picture_too() -> None:
    assert "No events." in history_svg([])
    assert shape([]).columns == 0


def test_an_event_as_json_leaves_empty_members_out() -> None:
    told = STORY[5].to_json("zh")
    assert told["word"] == "撤销"
    assert "label" not in told
    assert told["proof"] == "/v1/log/1"


@given(st.lists(st.tuples(TEXT, st.sampled_from(sorted(WORDS)), TEXT)))
def test_no_event_is_left_out_and_foreign_text_never_breaks_the_markup(
    given_events: list[tuple[str, str, str]],
) -> None:
    events = [
        event(at, actor, kind, document=label, label=label)
        for at, (actor, kind, label) in enumerate(given_events)
    ]
    history = shape(events)
    assert sum(len(mark.events) for mark in history.marks) == len(events)
    table = history_table(events)
    assert table.count("<tr>") == len(events) + 1
    etree.fromstring(history_svg(events).encode("utf-8", "replace"))
    etree.fromstring(table.encode("utf-8", "replace"))
