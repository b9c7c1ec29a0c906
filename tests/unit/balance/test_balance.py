"""The balance of a certificate: never more used than there is, whatever is asked in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import balance, jws
from protocols.balance import Action, Balance, Outcome, Part, Quantity, Request, UseState, register
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from tests.support import made_network
from tests.support.made_network import founded, signer

AT = made_network.NOW
CERTIFICATE = bytes(32)
A, B = made_network.A, made_network.B


def kept(value: str = "160") -> Balance:
    return Balance(CERTIFICATE, Quantity(Decimal(value), "H87"))


def asked(action: Action, declaration: str, value: str | None = None, **more: Any) -> Request:
    quantity = None if value is None else Quantity(Decimal(value), "H87")
    return replace(Request("1", CERTIFICATE, declaration, action, quantity), **more)


def run(start: Balance, *steps: tuple[Request, str]) -> Balance:
    for number, (request, by) in enumerate(steps):
        start = balance.apply(start, request, by=by, at=AT + timedelta(hours=number)).balance
    return start


def whole(of: Balance) -> Part:
    assert of.whole is not None
    return of.whole


def refused(start: Balance, request: Request, by: str = A) -> RefusedError:
    with pytest.raises(RefusedError) as told:
        balance.apply(start, request, by=by, at=AT)
    return told.value


def test_r23_what_is_used_is_refused_with_the_first_use_named() -> None:
    used = run(kept(), (asked(Action.WRITE_OFF, "D-1", "100"), A))
    error = refused(used, asked(Action.RESERVE, "D-2", "80"), B)
    assert error.code == "balance_used"
    assert error.detail == f"60 H87 left of 80; first used for D-1 by {A}"
    first = used.first_use(None)
    assert (whole(used).left, first and first.declaration) == (Decimal(60), "D-1")


def test_r23_asking_again_changes_nothing() -> None:
    request = asked(Action.RESERVE, "D-1", "100")
    once = run(kept(), (request, A))
    again = balance.apply(once, request, by=A, at=AT)
    assert (again.balance, again.changed, again.use.state) == (once, False, UseState.RESERVED)
    written = run(once, (asked(Action.WRITE_OFF, "D-1"), A))
    assert not balance.apply(written, request, by=A, at=AT).changed
    released = run(once, (asked(Action.RELEASE, "D-1"), A))
    assert not balance.apply(released, asked(Action.RELEASE, "D-1"), by=A, at=AT).changed


def test_the_same_number_of_another_node_is_another_use() -> None:
    both = run(
        kept(), (asked(Action.RESERVE, "D-1", "60"), A), (asked(Action.RESERVE, "D-1", "60"), B)
    )
    assert (whole(both).reserved, whole(both).left) == (Decimal(120), Decimal(40))


def test_each_refusal_has_its_code() -> None:
    reserved = run(kept(), (asked(Action.RESERVE, "D-1", "100"), A))
    written = run(reserved, (asked(Action.WRITE_OFF, "D-1", "40"), A))
    other_unit = Request("1", CERTIFICATE, "D-1", Action.RESERVE, Quantity(Decimal(1), "KGM"))
    cases = (
        (kept(), asked(Action.RELEASE, "D-1"), "balance_not_reserved"),
        (kept(), asked(Action.WRITE_OFF, "D-1"), "balance_quantity_missing"),
        (reserved, asked(Action.RESERVE, "D-1", "90"), "balance_other_quantity"),
        (reserved, asked(Action.RESERVE, "D-2", "1", expect=0), "balance_moved"),
        (written, asked(Action.RELEASE, "D-1"), "balance_written_off"),
        (kept(), other_unit, "balance_unit_differs"),
    )
    for start, request, code in cases:
        assert refused(start, request).code == code
    assert whole(written).left == Decimal(120)
    assert balance.apply(reserved, asked(Action.RESERVE, "D-2", "1", expect=1), by=A, at=AT).changed


def test_a_register_takes_no_more_uses_than_it_can_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MAX_USES", 1)
    one = run(kept(), (asked(Action.RESERVE, "D-1", "1"), A))
    assert refused(one, asked(Action.RESERVE, "D-2", "1")).code == "balance_full"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(Action)),
        st.sampled_from(["D-1", "D-2", "D-3"]),
        st.one_of(st.none(), st.decimals("0.001", 90, places=3)),
        st.sampled_from([A, B]),
    ),
    max_size=30,
)


@given(STEPS)
def test_r23_no_order_of_operations_uses_more_than_there_is(
    steps: list[tuple[Action, str, Decimal | None, str]],
) -> None:
    now, final = kept("100"), Decimal(0)
    for action, declaration, value, by in steps:
        quantity = None if value is None else Quantity(value, "H87")
        request = Request("1", CERTIFICATE, declaration, action, quantity)
        try:
            after = balance.apply(now, request, by=by, at=AT)
        except RefusedError:
            continue
        assert after.balance.seq == now.seq + after.changed
        now = after.balance
        told = whole(now)
        assert told.left >= 0
        assert told.left + told.reserved + told.written_off == Decimal(100)
        assert told.written_off >= final  # what is written off stays
        final = told.written_off


def _named(document: dict[str, Any]) -> balance.Named:
    return balance.named_in(document, A)


def test_r23_the_register_is_the_one_named_and_by_default_the_issuer() -> None:
    line = {"quantity": {"value": "30", "unit": "H87"}}
    assert _named({"goods": [line, line]}) == balance.Named(A, Quantity(Decimal(60), "H87"))
    told = {"register": B, "quantity": {"value": "5", "unit": "KGM"}}
    assert _named({"balance": told}) == balance.Named(B, Quantity(Decimal(5), "KGM"))
    for goods in ([], [line, {"quantity": {"value": "1", "unit": "KGM"}}], [{}], [{"sequence": 1}]):
        with pytest.raises(RefusedError) as none:
            _named({"goods": goods})
        assert none.value.code == "balance_not_kept"


def test_r23_only_the_register_itself_signs_what_is_left() -> None:
    members = founded().members
    used = run(kept(), (asked(Action.WRITE_OFF, "D-1", "100"), A))
    request = asked(Action.RESERVE, "D-2", "80")
    answer = replace(
        balance.answer(used, network=members.network.hex(), register=A, at=AT, lines=()),
        outcome=Outcome.REFUSED, request=request, by=B, code="balance_used", detail="60 left",
        use=used.uses[0], first_use=used.first_use(None),
    )  # fmt: skip
    text = balance.sign(answer, signer(f"{A}#exchange-1"))
    assert replace(balance.read_answer(text, members), text="") == answer
    assert balance.read_payload(text)["left"] == "60"
    for other in (signer(f"{B}#exchange-1"), signer(f"{A}#credential-1")):
        with pytest.raises(RefusedError) as untrusted:
            balance.read_answer(balance.sign(answer, other), members)
        assert untrusted.value.code == "balance_untrusted"
    foreign = balance.sign(replace(answer, network="00" * 32), signer(f"{A}#exchange-1"))
    with pytest.raises(RefusedError):
        balance.read_answer(foreign, members)


def test_an_answer_without_a_balance_says_why() -> None:
    members = founded().members
    network = members.network.hex()
    answer = balance.Answer(network, A, CERTIFICATE, AT, code="balance_not_kept")
    text = balance.sign(answer, signer(f"{A}#exchange-1"))
    assert replace(balance.read_answer(text, members), text="") == answer


@pytest.mark.parametrize(
    "change",
    [{"use": {"state": "SPENT"}}, {"left": "much"}, {"left": None}],
)
def test_an_answer_with_odd_members_is_malformed(change: dict[str, Any]) -> None:
    members = founded().members
    made = balance.answer(kept(), network=members.network.hex(), register=A, at=AT, lines=())
    use = balance.use_json(balance.Use(A, "D", Decimal(1), UseState.RESERVED, AT), "H87")
    body = strict_json.loads_object(made.payload()) | {"use": use}
    odd = {**body, **change, **({"use": use | change["use"]} if "use" in change else {})}
    key = signer(f"{A}#exchange-1")
    good, bad = (
        jws.sign(strict_json.canonical(each), typ=balance.TYP, signer=key) for each in (body, odd)
    )
    balance.read_answer(good, members)
    with pytest.raises(MalformedError):
        balance.read_answer(bad, members)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "spend"},
        {"quantity": {"value": "0", "unit": "H87"}},
        {"quantity": {"value": "many", "unit": "H87"}},
        {"quantity": {"value": "0.0000001", "unit": "H87"}},
        {"line": 0},
        {"line": "1"},
        {"quantity": {"value": "1", "unit": "PIECES"}},
        {"declaration": ""},
        {"expect": -1},
    ],
)
def test_a_bad_request_is_malformed(change: dict[str, Any]) -> None:
    good = strict_json.loads_object(asked(Action.RESERVE, "D-1", "10", expect=3).to_bytes())
    assert balance.read_request(Fields(good, balance.CODE)).expect == 3
    with pytest.raises(MalformedError):
        balance.read_request(Fields(good | change, balance.CODE))
