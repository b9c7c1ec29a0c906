"""History shaping: a column per act, what follows from it, title operations once, captions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from protocols.trace import (
    WORDS,
    Caption,
    Shape,
    TraceEvent,
    captions,
    ordered,
    remark,
    shape,
    word_of,
)
from protocols.trace_words import type_name

T0 = datetime(2026, 11, 18, 8, tzinfo=UTC)
NAMES = st.sampled_from(["cn-cert", "nl-port", "nl-customs"])


def event(seconds: float, actor: str, kind: str, **more: Any) -> TraceEvent:
    return TraceEvent(T0 + timedelta(seconds=seconds), actor, kind, **more)


def kinds(events: list[TraceEvent]) -> list[list[tuple[str, str]]]:
    """The marks of each column as (lane, kind)."""
    history = shape(events)
    told: list[list[tuple[str, str]]] = [[] for _ in history.columns]
    for mark in history.marks:
        told[mark.column].append((history.lanes[mark.lane], mark.kind))
    return told


def titles(events: list[TraceEvent], lang: str = "en") -> list[Caption]:
    return list(captions(shape(events), lang))


def test_a_document_and_its_receivers_share_a_column_with_straight_links() -> None:
    phyto = {"document": "aa", "type": "phytosanitary-certificate", "label": "P-1"}
    events = [
        event(0.5, "cn-cert", "received", lane="nl-port", **phyto),
        event(0, "cn-cert", "issued", **phyto),
        event(0.1, "cn-cert", "sent", **phyto),
        event(0.7, "cn-cert", "received", lane="nl-customs", **phyto),
        event(0.8, "nl-port", "validated", **phyto),
    ]
    history = shape(events)
    assert history.lanes == ("cn-cert", "nl-port", "nl-customs")
    assert kinds(events) == [
        [("cn-cert", "issued"), ("nl-port", "received"), ("nl-customs", "received")]
    ]
    assert [(link.start.lane, link.end.lane) for link in history.links] == [(0, 1), (0, 2)]
    assert titles(events) == [Caption("Phytosanitary certificate")]
    assert titles(events, "zh") == [Caption("植物检疫证书")]


def test_what_comes_late_has_a_column_of_its_own_and_links_back() -> None:
    events = [
        event(0, "rail", "issued", document="aa", type="packing-list"),
        event(0.3, "rail", "issued", document="bb", type="quality-certificate"),
        event(9, "rail", "received", lane="port", document="aa", type="packing-list"),
        event(9.1, "rail", "received", lane="port", document="bb", type="quality-certificate"),
    ]
    history = shape(events)
    assert [column.late for column in history.columns] == [False, False, True]
    assert [(link.start.column, link.end.column) for link in history.links] == [(0, 2), (1, 2)]
    assert titles(events)[2] == Caption("Received later ×2")
    assert titles(events[:3])[2] == Caption("Received later · Packing list")


def test_clocks_that_differ_do_not_part_a_receipt_from_its_issue() -> None:
    events = [
        event(0, "cn-cert", "received", lane="nl-port", document="aa"),
        event(0.2, "cn-cert", "issued", document="aa"),
    ]
    history = shape(events)
    assert len(history.columns) == 1
    assert history.columns[0].act.kind == "issued"
    assert [(link.start.kind, link.end.kind) for link in history.links] == [("issued", "received")]


def test_the_picture_of_a_receiver_shows_who_sent_what_it_received() -> None:
    events = [event(0, "cn-cert", "received", lane="nl-port", document="aa", type="packing-list")]
    assert kinds(events) == [[("cn-cert", "sent"), ("nl-port", "received")]]
    (link,) = shape(events).links
    assert (link.start.kind, link.end.kind) == ("sent", "received")
    alone = [event(0, "nl-port", "received", document="aa")]
    assert kinds(alone) == [[("nl-port", "received")]]
    assert titles(alone) == [Caption("Received")]
    both = [*events, event(0.1, "cn-cert", "refused", document="aa")]
    assert kinds(both) == [[("nl-port", "received"), ("cn-cert", "refused")]]


def test_a_receipt_stands_for_the_receiver_only_where_the_receiver_is_silent() -> None:
    issued = event(0, "cn-cert", "issued", document="aa")
    receipt = event(0.2, "nl-port", "receipted", document="aa")
    received = event(0.1, "cn-cert", "received", lane="nl-port", document="aa")
    assert kinds([issued, receipt])[0][1] == ("nl-port", "receipted")
    assert kinds([issued, received, receipt])[0][1:] == [("nl-port", "received")]
    assert kinds([event(0, "nl-port", "receipted")]) == []


def test_a_verdict_that_came_replaces_the_one_that_was_awaited() -> None:
    issued = event(0, "cn-cert", "issued", document="aa")
    awaited = event(0.1, "nl-port", "quarantined", document="aa")
    assert kinds([issued, awaited])[0][1] == ("nl-port", "quarantined")
    assert len(kinds([issued, awaited, event(5, "nl-port", "validated", document="aa")])[0]) == 1


def test_a_title_operation_told_by_many_nodes_is_one_mark_where_its_party_is_hosted() -> None:
    detail = {"operation": "0f"}
    bill: dict[str, Any] = {
        "document": "bb",
        "type": "bill-of-lading",
        "label": "B-1",
        "detail": detail,
    }
    moved: dict[str, Any] = {"kind": "title-transfer", "lane": "nhl", "recipient": "Bank", **bill}
    events = [event(second, "Exporter", **moved) for second in (0.2, 0, 7)]
    events.append(event(0.1, "nhl", "title-final", document="bb"))
    assert kinds(events) == [[("nhl", "title-transfer")]]
    assert titles(events) == [Caption("Title transferred", "→ Bank")]
    assert remark(events[0], "en") == "Exporter → Bank"
    kept = [event(0, "nhl", "title-end"), event(0.1, "nhl", "title-end")]
    assert titles(kept) == [Caption("Title ended", "nhl")] * 2


def test_a_revocation_and_those_who_learn_of_it_share_a_column() -> None:
    phyto = {"document": "aa", "type": "phytosanitary-certificate", "label": "P-1"}
    events = [
        event(0, "cn-cert", "issued", **phyto),
        event(5, "cn-cert", "revoked", detail={"reason": "wrong date"}, **phyto),
        event(5.3, "cn-cert", "status-changed", lane="nl-port", **phyto),
    ]
    assert kinds(events)[1] == [("cn-cert", "revoked"), ("nl-port", "status-changed")]
    assert titles(events)[1] == Caption("Revoked · Phytosanitary certificate")
    assert remark(events[1], "en") == "wrong date"


def test_a_release_is_a_tick_in_the_column_of_its_order() -> None:
    order = {"document": "cc", "type": "release-order", "label": "RO-1"}
    released = event(0.1, "nl-port", "released", detail={"container": "NHLU2631075"}, **order)
    events = [event(0, "nl-port", "issued", **order), released]
    assert kinds(events) == [[("nl-port", "released")]]
    assert titles(events) == [Caption("Release order")]
    assert remark(released, "en") == "NHLU2631075"


def test_a_failure_outweighs_what_else_happened_in_its_place() -> None:
    events = [
        event(0, "cn-cert", "issued", document="aa"),
        event(0.1, "cn-cert", "refused", lane="nl-port", document="aa"),
        event(0.2, "cn-cert", "received", lane="nl-port", document="aa"),
    ]
    assert kinds(events)[0][1] == ("nl-port", "refused")


def test_repeated_alarms_of_one_lane_are_one_column_with_a_count() -> None:
    events = [event(second, "nhl", "alarm") for second in (0, 0.1, 3)]
    assert [caption.name for caption in titles(events)] == ["ALARM ×2", "ALARM"]


def test_documents_of_one_type_are_told_apart_by_number_or_container() -> None:
    first = event(0, "cn-cert", "issued", document="aa", type="packing-list", label="P-1")
    second = event(1, "cn-cert", "issued", document="bb", type="packing-list", label="P-2")
    assert [caption.about for caption in titles([first, second])] == ["P-1", "P-2"]
    hold = event(2, "nl-port", "release-hold", label="BOX", detail={"container": "BOX"})
    assert titles([hold]) == [Caption("HOLD", "BOX")]
    assert titles([event(0, "x", "issued", type="packing-list")])[0].name == "Issued · Packing list"


def test_remarks_are_sentences_in_both_languages() -> None:
    alarm = event(0, "nhl", "alarm", detail={"code": "bad_signature"})
    assert remark(alarm, "en") == "The signature does not fit the key and the bytes"
    assert remark(alarm, "zh") == "签名与密钥和内容不符"
    assert remark(event(0, "nhl", "alarm", detail={"code": "nobody_knows"}), "en") == "nobody_knows"
    unmet = [{"id": "REL-040", "code": "certificate_revoked", "reason": "P-1"}]
    held = remark(event(0, "p", "release-hold", detail={"unmet": unmet}), "en")
    assert held.endswith("was revoked by its issuer (P-1)")
    assert remark(event(0, "p", "received"), "en") == ""


def test_failures_are_diamonds_and_only_failures() -> None:
    assert {kind for kind, word in WORDS.items() if word.shape is Shape.DIAMOND} == {
        kind for kind, word in WORDS.items() if word.tone == "bad"
    }
    assert word_of("title-anything").tone == "title"
    assert word_of("nothing").en == "noted"
    assert type_name("no-such-type", "zh") == "no-such-type"


def test_an_event_as_json_leaves_empty_members_out_and_comes_back() -> None:
    revoked = event(5, "cn-cert", "revoked", document="aa", proof="/v1/log/1")
    told = revoked.to_json("zh")
    assert told["word"] == "撤销"
    assert "label" not in told
    assert TraceEvent.from_json(told) == revoked


def test_an_empty_history_has_no_columns() -> None:
    assert shape([]).columns == ()


@given(
    st.lists(
        st.builds(
            event,
            st.floats(0, 20),
            NAMES,
            st.sampled_from(sorted(WORDS)),
            lane=NAMES,
            document=st.sampled_from(["", "aa", "bb"]),
        )
    )
)
def test_marks_never_meet_and_links_end_at_marks(events: list[TraceEvent]) -> None:
    history = shape(events)
    places = [(mark.column, mark.lane) for mark in history.marks]
    assert len(places) == len(set(places))
    assert {mark.column for mark in history.marks} == set(range(len(history.columns)))
    assert all(link.start in history.marks and link.end in history.marks for link in history.links)
    assert len(captions(history, "en")) == len(history.columns)
    starts = [column.events[0].at for column in history.columns]
    assert starts == sorted(starts)
    failures = {each.at for each in events if word_of(each.kind).shape is Shape.DIAMOND}
    shown = {each.at for mark in history.marks for each in mark.events}
    assert failures <= shown
    assert ordered(events) == ordered(ordered(events))
