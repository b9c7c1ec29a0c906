"""Leases, notices, presentations and journals; what a gate asks of an arrival."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocols import jws
from protocols.keys import SoftwareSigner
from protocols.release import gate
from protocols.release.gate import Arrival, Entry, Lease, Notice
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
PORT, HAULIER = "did:web:nl-port.example", "did:web:haulier-a.example"
NETWORK, ORDER, OTHER = "ab" * 32, "cd" * 32, "ef" * 32


def key(kid: str) -> SoftwareSigner:
    return SoftwareSigner(kid, ec.generate_private_key(ec.SECP256R1()))


REGISTER = key(f"{PORT}#release-1")
COLLECTOR = key(f"{HAULIER}#title-1")
GATE = key(f"{PORT}#gate-east")
THUMBPRINT = GATE.public().thumbprint()


def lease(**more: Any) -> Lease:
    made = Lease(
        network=NETWORK,
        register=PORT,
        gate="east",
        gate_key=THUMBPRINT,
        group="NLRTM-A",
        order=ORDER,
        number="RO-1",
        container="NHLU2631075",
        consignment="6CN1",
        collector=HAULIER,
        key=dict(COLLECTOR.public().jwk),
        vehicle="12-ABC-3",
        not_before=NOW,
        not_after=NOW + timedelta(hours=1),
        leased_at=NOW,
    )
    made = replace(made, **more)
    return replace(made, text=gate.sign_lease(made, REGISTER))


def read(text: str, name: str = "east", thumbprint: str = THUMBPRINT) -> Lease:
    return gate.read_lease(text, REGISTER.public(), gate=name, gate_key=thumbprint)


def arrival(**more: Any) -> Arrival:
    proof = gate.presentation(
        more.pop("network", NETWORK),
        more.pop("said", ORDER),
        more.pop("challenge", "q"),
        more.pop("shown", "12abc3"),
        NOW,
        more.pop("by", COLLECTOR),
    )
    return replace(Arrival(ORDER, "NHLU2631075", "12 ABC 3", proof), **more)


def admit(given: Arrival, held: str = "", now: datetime = NOW, of: Lease | None = None) -> str:
    try:
        gate.require_admissible(of or lease(), given, "q", held, now)
    except RefusedError as error:
        return error.code
    return ""


def test_a_lease_is_read_back_by_its_gate_alone() -> None:
    made = lease()
    assert read(made.text) == made
    nameless = lease(vehicle="")
    assert read(nameless.text).vehicle == ""
    for name, thumbprint in (("west", THUMBPRINT), ("east", "A" * 43)):
        with pytest.raises(RefusedError) as caught:
            read(made.text, name, thumbprint)
        assert caught.value.code == "gate_lease_untrusted"
    with pytest.raises(RefusedError):
        read(gate.sign_lease(made, COLLECTOR))
    with pytest.raises(RefusedError):
        read(gate.sign_notice(NETWORK, Notice(ORDER, "x", NOW), REGISTER))


def test_the_right_truck_with_the_right_key_in_time_is_admitted() -> None:
    assert admit(arrival()) == ""
    assert admit(arrival(shown="x-1", vehicle="X1"), of=lease(vehicle="")) == ""


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"vehicle": "99-X-1"}, "gate_wrong_vehicle"),
        ({"shown": "99-X-1"}, "gate_wrong_vehicle"),
        ({"container": "NHLU2631080"}, "gate_wrong_container"),
        ({"by": GATE}, "gate_wrong_collector"),
        ({"said": OTHER}, "gate_wrong_collector"),
        ({"challenge": "other"}, "gate_wrong_collector"),
        ({"network": "00" * 32}, "gate_wrong_collector"),
    ],
)
def test_r24_what_does_not_fit_the_lease_is_refused(more: dict[str, Any], code: str) -> None:
    assert admit(arrival(**more)) == code


def test_r24_no_lease_a_taken_back_order_and_another_hour_are_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        gate.require_admissible(None, arrival(), "q", "", NOW)
    assert caught.value.code == "gate_order_not_leased"
    assert admit(arrival(), held="customs hold") == "gate_on_hold"
    for now in (NOW - timedelta(seconds=1), NOW + timedelta(hours=1)):
        assert admit(arrival(), now=now) == "gate_order_not_now"


def test_a_notice_is_the_registers_and_of_its_network() -> None:
    text = gate.sign_notice(NETWORK, Notice(ORDER, "hold", NOW), REGISTER)
    assert gate.read_notice(text, REGISTER.public(), NETWORK) == Notice(ORDER, "hold", NOW)
    with pytest.raises(RefusedError):
        gate.read_notice(text, REGISTER.public(), "00" * 32)
    with pytest.raises(RefusedError):
        gate.read_notice(text, COLLECTOR.public(), NETWORK)


def test_a_journal_line_is_read_back_and_of_one_gate() -> None:
    entry = Entry("east", 2, "aa" * 32, "USED", NOW, ORDER, "NHLU2631075", "12-ABC-3")
    entry = replace(entry, condition="SOUND", seals=("S1", "S2"))
    text = gate.sign_entry(entry, GATE)
    found = gate.read_entry(text, GATE.public(), "east")
    assert replace(found, digest="") == entry
    first = gate.sign_entry(replace(entry, seq=1, previous="", order=""), GATE)
    assert gate.read_entry(first, GATE.public(), "east").previous == ""
    with pytest.raises(RefusedError) as caught:
        gate.read_entry(text, GATE.public(), "west")
    assert caught.value.code == "gate_report_broken"
    wrong = gate.sign_entry(replace(entry, kind="ELSE"), GATE)
    with pytest.raises(MalformedError):
        gate.read_entry(wrong, GATE.public(), "east")


def test_malformed_presentations_are_refused_not_raised_through() -> None:
    body = strict_json.canonical({"network": NETWORK})
    proof = jws.sign(body, typ=gate.PRESENTATION_TYP, signer=COLLECTOR)
    with pytest.raises(MalformedError):
        gate.require_admissible(lease(), replace(arrival(), proof=proof), "q", "", NOW)
    with pytest.raises(MalformedError):
        gate.require_admissible(lease(), replace(arrival(), proof="x"), "q", "", NOW)
