"""Test switches: what an operator may tell a node on a test network, and nowhere else (R7)."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import Any

import pytest

from node.ebl.switch_service import CODE, read_peer
from node.ebl.switches import SwitchedPeer, Switches, read_certificate
from protocols.fields import Fields
from protocols.member_list import MemberList
from protocols.pint import signed
from protocols.pint.envelope import envelope
from protocols.pint.judgement import Outcome
from protocols.pint.reading import checksum_of
from protocols.pint.receiver import RegistryPolicy
from schemas import strict_json
from schemas.errors import ForbiddenError, MalformedError
from tests.support import pint_world as w

STRANGE = "BOLE"


def switches(members: MemberList | None = None) -> Switches:
    return Switches(lambda: members or w.member_list())


def told() -> Switches:
    held = switches()
    peer = SwitchedPeer(STRANGE, (w.outside().der,), beta=True)
    held.tell(peers=[peer], carriers=[w.outside().der])
    return held


def toolkit_envelope(**changes: Any) -> bytes:
    """What a toolkit sends: a platform nobody lists, the older words, the manifest at the root."""
    document = w.bill()
    actor = {"partyName": "x", "eblPlatform": STRANGE, "identifyingCodes": w.codes_of(w.SHIPPER)}
    entry = {
        "eblPlatform": STRANGE,
        "transportDocumentChecksum": checksum_of(document).hex(),
        "transactions": [
            {
                "action": "ISSU",
                "actionCode": "ISSUE",
                "actionDateTime": "2026-11-01T06:00:00Z",
                "actor": actor,
                "recipient": w.BUYER.to_json(),
            }
        ],
    } | changes
    text = signed.sign(strict_json.canonical(entry), signer=w.CertifiedSigner())
    manifest = {"documentChecksum": checksum_of(document).hex(), "issueToChecksum": "ab" * 32}
    issuance = signed.sign(strict_json.canonical(manifest), signer=w.CertifiedSigner())
    made = envelope(document, [text], w.CertifiedSigner())
    return replace(made, further={"issuanceManifestSignedContent": issuance}).to_bytes()


def test_r7_switches_exist_on_test_networks_only() -> None:
    for members in (None, w.member_list(w.draft(test=False))):
        held = Switches(lambda members=members: members)
        with pytest.raises(ForbiddenError, match="test_switch_refused"):
            held.tell(peers=[SwitchedPeer(STRANGE)])
        assert not held.told


def test_r7_what_was_told_counts_no_longer_when_the_network_is_no_test() -> None:
    lists = [w.member_list()]
    held = Switches(lambda: lists[0])
    held.tell(
        peers=[SwitchedPeer(STRANGE, (w.outside().der,), beta=True)],
        carriers=[w.outside().der],
    )
    lists[0] = w.member_list(w.draft(test=False))
    assert held.keyring(w.keyring()) is w.keyring()
    assert held.dialect(toolkit_envelope()) is None
    assert held.peer(STRANGE) is None


def test_a_toolkits_envelope_is_taken_with_switches_and_refused_without() -> None:
    held, data = told(), toolkit_envelope()
    policy = RegistryPolicy(required=False, test=True)
    receiving = {
        "keyring": held.keyring(w.keyring()),
        "dialect": held.dialect(data),
        "registries": policy,
    }
    assert w.Platform().judge(data, **receiving).outcome is Outcome.READY
    plain = w.Platform().judge(data, registries=policy)
    assert plain.outcome is Outcome.REFUSED


def test_listed_platforms_keep_their_keys_and_no_other_gets_the_told_ones() -> None:
    ring = told().keyring(w.keyring())
    for found in (ring.platform("AWAY"), ring.carrier(w.CARRIER)):
        assert found is not None
        assert all(key.kid for key in found.keys)
        assert found.anchors == ()
    assert ring.platform("ELSE") is None
    assert switches().keyring(w.keyring()) is w.keyring()


@pytest.mark.parametrize("data", [b"{}", b"[]", b"no json", b'{"envelopeTransferChain":["x"]}'])
def test_what_names_no_platform_is_read_in_no_dialect(data: bytes) -> None:
    assert told().dialect(data) is None
    assert told().dialect(toolkit_envelope(eblPlatform="AWAY")) is None


def test_telling_replaces_all_and_is_shown_without_secrets() -> None:
    held = told()
    assert held.to_json()["peers"][0]["code"] == STRANGE
    held.tell(peers=[SwitchedPeer("CARX", url="http://127.0.0.1:1", headers={"key": "hidden"})])
    shown = held.to_json()
    assert [peer["code"] for peer in shown["peers"]] == ["CARX"]
    assert "hidden" not in str(shown)


def test_certificates_are_read_as_pem() -> None:
    pem = ssl.DER_cert_to_PEM_cert(w.outside().der)
    assert read_certificate(pem) == w.outside().der
    with pytest.raises(MalformedError, match="certificate_malformed"):
        read_certificate("nothing")


@pytest.mark.parametrize(
    "change",
    [
        {"code": "TOOLONG"},
        {"url": "file:///etc/passwd"},
        {"headers": {"a b": "x"}},
        {"headers": {"a": "x\ny"}},
        {"headers": {"a": 1}},
        {"certificates": "x"},
        {"beta": "yes"},
    ],
)
def test_a_peer_has_one_form(change: dict[str, Any]) -> None:
    told_of: dict[str, Any] = {
        "code": "CARX",
        "url": "http://127.0.0.1:8080/x",
        "headers": {"key": "v"},
    }
    assert read_peer(Fields(told_of, CODE)).url == told_of["url"]
    with pytest.raises(MalformedError):
        read_peer(Fields(told_of | change, CODE))
