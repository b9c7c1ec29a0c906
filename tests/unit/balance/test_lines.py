"""A balance by goods line: drawn by line or as a whole, never beyond a line, nor beyond it all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import balance, jws
from protocols.balance import (
    Action,
    Balance,
    GoodsLine,
    Named,
    Outcome,
    Part,
    Quantity,
    Request,
    Use,
    UseState,
)
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from tests.support import made_network
from tests.support.made_network import founded, signer

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = made_network.NOW
CERTIFICATE = bytes(32)
A, B = made_network.A, made_network.B
LONGEST = Decimal("999999999999999.999999")


def amount(value: str, unit: str = "KGM") -> Quantity:
    return Quantity(Decimal(value), unit)


def goods(*measures: tuple[str, str]) -> dict[str, Any]:
    return {
        "goods": [
            {"sequence": at, "quantity": {"value": value, "unit": unit}}
            for at, (value, unit) in enumerate(measures, 1)
        ]
    }


def kept(*measures: tuple[str, str]) -> Balance:
    named = balance.named_in(goods(*measures), A)
    return Balance(CERTIFICATE, named.quantity, lines=named.lines)


MIXED = kept(("500", "KGM"), ("60", "H87"))
ALIKE = kept(("30", "KGM"), ("70", "KGM"))


def asked(
    action: Action, declaration: str, value: str | None = None, line: int | None = None
) -> Request:
    unit = "H87" if line == 2 else "KGM"
    quantity = None if value is None else amount(value, unit)
    return Request("1", CERTIFICATE, declaration, action, quantity, line=line)


def run(start: Balance, *steps: tuple[Request, str]) -> Balance:
    for number, (request, by) in enumerate(steps):
        start = balance.apply(start, request, by=by, at=AT + timedelta(hours=number)).balance
    return start


def refused(start: Balance, request: Request) -> RefusedError:
    with pytest.raises(RefusedError) as told:
        balance.apply(start, request, by=A, at=AT)
    return told.value


def left(of: Balance) -> list[str]:
    return [balance.plain(part.left) for part in of.parts()]


def test_each_line_is_named_with_its_quantity_and_the_whole_where_units_agree() -> None:
    lines = (GoodsLine(1, amount("500")), GoodsLine(2, amount("60", "H87")))
    assert balance.named_in(goods(("500", "KGM"), ("60", "H87")), A) == Named(A, None, lines)
    alike = balance.named_in(goods(("30", "KGM"), ("70", "KGM")), A)
    assert (alike.quantity, len(alike.lines)) == (amount("100"), 2)
    stated = {"register": B, "quantity": {"value": "5", "unit": "KGM"}}
    pool = balance.named_in(goods(("30", "H87")) | {"balance": stated}, A)
    assert pool == Named(B, amount("5"))
    elsewhere = balance.named_in(
        goods(("500", "KGM"), ("60", "H87")) | {"balance": {"register": B}}, A
    )
    assert elsewhere == Named(B, None, lines)


def test_a_line_without_a_quantity_has_no_balance_and_the_others_have_theirs() -> None:
    document = goods(("500", "KGM"))
    document["goods"].append({"sequence": 2})
    named = balance.named_in(document, A)
    assert named == Named(A, None, (GoodsLine(1, amount("500")),))
    # There is another line, so no line does not mean the first.
    for line, code in ((None, "balance_line_missing"), (2, "balance_line_unknown")):
        with pytest.raises(RefusedError) as told:
            balance.line_of(named.quantity, named.lines, line)
        assert told.value.code == code


@pytest.mark.parametrize("numbers", [(1, 1), (0, 1), (1, None), (1, 10_000)])
def test_lines_that_cannot_be_told_apart_are_one_pool(numbers: Sequence[int | None]) -> None:
    document = goods(("30", "KGM"), ("70", "KGM"))
    for line, number in zip(document["goods"], numbers, strict=True):
        line["sequence"] = number
    assert balance.named_in(document, A) == Named(A, amount("100"))


def test_more_lines_than_an_answer_tells_are_one_pool_or_no_balance() -> None:
    many = [("1", "KGM")] * (balance.MAX_LINES + 1)
    assert balance.named_in(goods(*many), A) == Named(A, amount("201"))
    with pytest.raises(RefusedError) as told:
        balance.named_in(goods(*many, ("1", "H87")), A)
    assert (told.value.code, "200" in told.value.detail) == ("balance_not_kept", True)


def test_r23_lines_in_other_units_are_drawn_each_by_itself() -> None:
    used = run(MIXED, (asked(Action.WRITE_OFF, "D-1", "60", 2), A))
    assert (left(used), used.whole) == (["500", "0"], None)
    over = refused(used, asked(Action.RESERVE, "D-2", "1", 2))
    assert over.code == "balance_used"
    assert over.detail == f"line 2: 0 H87 left of 1; first used for D-1 by {A}"
    both = run(used, (asked(Action.WRITE_OFF, "D-1", "500", 1), A))
    assert (left(both), both.seq, len(both.uses)) == (["0", "0"], 2, 2)


def test_a_request_names_its_line_where_units_differ_and_one_that_there_is() -> None:
    missing = refused(MIXED, asked(Action.RESERVE, "D-1", "1"))
    assert (missing.code, missing.detail) == (
        "balance_line_missing", "its lines are 1 (KGM), 2 (H87)",
    )  # fmt: skip
    assert refused(MIXED, asked(Action.RESERVE, "D-1", "1", 3)).code == "balance_line_unknown"
    pool = Balance(CERTIFICATE, amount("160"))
    unknown = refused(pool, asked(Action.RESERVE, "D-1", "1", 1))
    assert (unknown.code, "kept as one" in unknown.detail) == ("balance_line_unknown", True)
    other = Request("1", CERTIFICATE, "D-1", Action.RESERVE, amount("1", "H87"), line=1)
    assert refused(MIXED, other).code == "balance_unit_differs"


def test_what_a_refusal_says_of_many_lines_stays_short_enough_to_be_read() -> None:
    units = ("KGM", "H87")
    many = kept(*[("1", units[at % 2]) for at in range(balance.MAX_LINES)])
    detail = refused(many, asked(Action.RESERVE, "D-1", "1")).detail
    assert (len(detail) < 1000, "and 180 more" in detail) == (True, True)


def test_r23_the_only_line_is_meant_whether_it_is_named_or_not() -> None:
    one = kept(("160", "KGM"))
    first = run(one, (asked(Action.RESERVE, "D-1", "100"), A))
    again = balance.apply(first, asked(Action.RESERVE, "D-1", "100", 1), by=A, at=AT)
    assert (again.changed, again.use.line, left(again.balance)) == (False, 1, ["60"])


def test_r23_draws_by_line_and_as_a_whole_bind_each_other() -> None:
    half = run(ALIKE, (asked(Action.WRITE_OFF, "D-1", "80"), A))
    # 20 of it all are left, so no line has more, though none was named.
    assert left(half) == ["20", "20"]
    over = refused(half, asked(Action.RESERVE, "D-2", "21", 1))
    assert over.detail == f"line 1: 20 KGM left of 21; first used for D-1 by {A}"
    drawn = run(ALIKE, (asked(Action.RESERVE, "D-1", "30", 1), A))
    assert left(drawn) == ["0", "70"]
    assert refused(drawn, asked(Action.RESERVE, "D-2", "71")).code == "balance_used"
    assert refused(drawn, asked(Action.RESERVE, "D-2", "1", 1)).code == "balance_used"
    elsewhere = Request("1", CERTIFICATE, "D-0", Action.RESERVE, amount("9"), line=2)
    other_lines = run(ALIKE, (elsewhere, B), (asked(Action.RESERVE, "D-1", "30", 1), A))
    # What was used first of another line is not what this line was used for.
    assert "first used for D-1" in refused(other_lines, asked(Action.RESERVE, "D-2", "1", 1)).detail


STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(Action)),
        st.sampled_from(["D-1", "D-2"]),
        st.one_of(st.none(), st.decimals("0.001", 60, places=3)),
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from([A, B]),
    ),
    max_size=40,
)


def _holds(now: Balance) -> None:
    """Nothing is overdrawn, and what was drawn without a line can be laid on the lines."""
    drawn = [use for use in now.uses if use.counts]
    for line in now.lines:
        on_line = sum(use.quantity for use in drawn if use.line == line.number)
        assert on_line <= line.quantity.value
    for part in now.parts():
        assert 0 <= part.left <= part.quantity.value - part.reserved - part.written_off
    if now.quantity is None:
        assert all(use.line is not None for use in drawn)
        return
    assert sum(use.quantity for use in drawn) <= now.quantity.value
    spare = sum(
        line.quantity.value - sum(use.quantity for use in drawn if use.line == line.number)
        for line in now.lines
    )
    assert sum(use.quantity for use in drawn if use.line is None) <= spare


@pytest.mark.parametrize(
    "start",
    [
        kept(("50", "KGM"), ("30", "KGM"), ("20", "KGM")),
        kept(("50", "KGM"), ("30", "H87"), ("20", "KGM")),
        kept(("100", "KGM")),
    ],
)
@given(steps=STEPS)
def test_r23_no_order_of_operations_overdraws_a_line_or_all_of_them(
    start: Balance, steps: list[tuple[Action, str, Decimal | None, int | None, str]]
) -> None:
    now = start
    units = {line.number: line.quantity.unit for line in start.lines}
    for action, declaration, value, line, by in steps:
        quantity = None if value is None else Quantity(value, units.get(line or 0, "KGM"))
        request = Request("1", CERTIFICATE, declaration, action, quantity, line=line)
        try:
            after = balance.apply(now, request, by=by, at=AT)
        except RefusedError:
            continue
        assert after.balance.seq == now.seq + after.changed
        again = balance.apply(after.balance, request, by=by, at=AT + timedelta(1))
        assert (again.changed, again.use) == (False, after.use)  # asked twice, answered once
        now = after.balance
        _holds(now)
        assert len({(use.by, use.declaration, use.line) for use in now.uses}) == len(now.uses)


@given(STEPS, st.sampled_from([None, 1, 2, 3]), st.decimals("0.001", 20, places=3))
def test_r23_a_release_gives_back_exactly_what_was_reserved(
    steps: list[tuple[Action, str, Decimal | None, int | None, str]],
    line: int | None,
    value: Decimal,
) -> None:
    now = kept(("50", "KGM"), ("30", "KGM"), ("20", "KGM"))
    for action, declaration, some, on, by in steps:
        quantity = None if some is None else Quantity(some, "KGM")
        try:
            request = Request("1", CERTIFICATE, declaration, action, quantity, line=on)
            now = balance.apply(now, request, by=by, at=AT).balance
        except RefusedError:
            continue
    mine = Request("1", CERTIFICATE, "D-9", Action.RESERVE, Quantity(value, "KGM"), line=line)
    try:
        reserved = balance.apply(now, mine, by=A, at=AT).balance
    except RefusedError:
        return
    release = replace(mine, action=Action.RELEASE, quantity=None)
    released = balance.apply(reserved, release, by=A, at=AT).balance
    assert (released.parts(), released.whole) == (now.parts(), now.whole)
    assert reserved.parts() != now.parts() or line is None


def test_r23_an_answer_with_the_most_lines_and_the_longest_amounts_is_within_its_bound() -> None:
    members = founded().members
    longest = Quantity(LONGEST, "KGM")
    parts = tuple(
        Part(9999 - at, longest, LONGEST, LONGEST, LONGEST) for at in range(balance.MAX_LINES)
    )
    whole = Part(None, Quantity(LONGEST * 200, "KGM"), *[LONGEST * 200] * 3)
    use = Use(A, "D" * balance.MAX_DECLARATION, LONGEST, UseState.WRITTEN_OFF, AT, 9999)
    made = balance.Answer(members.network.hex(), A, CERTIFICATE, AT, 2**53 - 1, whole, parts)
    # Longer than any: names as long as they can be, and a request with everything in it.
    request = Request("i" * 64, CERTIFICATE, "D" * 100, Action.WRITE_OFF, Quantity(LONGEST, "KGM"),
                      2**53 - 1, 9999)  # fmt: skip
    full = replace(
        made, outcome=Outcome.REFUSED, request=request, by=B, use=use,
        first_use=use, code="c" * 60, detail="d" * 1000,
    )  # fmt: skip
    text = balance.sign(full, signer(f"{A}#exchange-1"))
    # Four identifiers, of 400 characters at most, are shorter here than they may be.
    assert len(text) + 4 * 400 * 4 // 3 < balance.MAX_ANSWER
    assert replace(balance.read_answer(text, members), text="") == full


def test_an_answer_tells_its_line_or_all_of_them_and_the_whole_where_there_is_one() -> None:
    members = founded().members
    used = run(MIXED, (asked(Action.WRITE_OFF, "D-1", "60", 2), A))
    made = balance.answer(
        used, network=members.network.hex(), register=A, at=AT, lines=used.parts(2)
    )
    granted = replace(made, outcome=Outcome.GRANTED, by=A, use=used.uses[0],
                      request=asked(Action.WRITE_OFF, "D-1", "60", 2))  # fmt: skip
    told = strict_json.loads_object(granted.payload())
    assert told["lines"] == [
        {"line": 2, "quantity": {"value": "60", "unit": "H87"}, "left": "0", "reserved": "0",
         "writtenOff": "60"}
    ]  # fmt: skip
    assert ("quantity" in told, told["seq"]) == (False, 1)
    use = told["use"]
    assert isinstance(use, dict)
    assert (use["line"], use["quantity"]) == (2, {"value": "60", "unit": "H87"})
    text = balance.sign(granted, signer(f"{A}#exchange-1"))
    assert replace(balance.read_answer(text, members), text="") == granted


@pytest.mark.parametrize(
    "change",
    [{"line": 0}, {"line": 2}, {"left": None}, {"quantity": {"value": "x", "unit": "KGM"}}],
)
def test_an_answer_with_odd_lines_is_malformed(change: dict[str, Any]) -> None:
    members = founded().members
    made = balance.answer(
        MIXED, network=members.network.hex(), register=A, at=AT, lines=MIXED.parts()
    )
    body = strict_json.loads_object(made.payload())
    lines = body["lines"]
    assert isinstance(lines, list)
    first = lines[0]
    assert isinstance(first, dict)
    lines[0] = {**first, **change}
    text = jws.sign(strict_json.canonical(body), typ=balance.TYP, signer=signer(f"{A}#exchange-1"))
    with pytest.raises(MalformedError):
        balance.read_answer(text, members)


def test_a_certificate_that_states_one_quantity_is_answered_without_lines_as_ever() -> None:
    pool = run(Balance(CERTIFICATE, amount("160")), (asked(Action.RESERVE, "D-1", "10"), A))
    made = balance.answer(pool, network="00" * 32, register=A, at=AT, lines=pool.parts())
    told = strict_json.loads_object(replace(made, use=pool.uses[0]).payload())
    use = told.pop("use")
    assert isinstance(use, dict)
    assert set(use) == {"by", "declaration", "quantity", "state", "at"}
    assert set(told) == {
        "network", "register", "certificate", "at", "seq", "quantity", "left", "reserved",
        "writtenOff",
    }  # fmt: skip


def test_a_request_says_its_line_and_one_without_it_reads_as_ever() -> None:
    request = asked(Action.RESERVE, "D-1", "10", 2)
    told = strict_json.loads_object(request.to_bytes())
    assert balance.read_request(Fields(told, balance.CODE)) == request
    del told["line"]
    assert balance.read_request(Fields(told, balance.CODE)).line is None
    assert b"line" not in asked(Action.RESERVE, "D-1", "10").to_bytes()
