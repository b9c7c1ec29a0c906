"""A signed rule set as it is read, and verdict lists over documents that are as they are said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from protocols import jws
from protocols.preflight import rule_set
from protocols.preflight.verdicts import Judgement, Line, verdicts
from schemas import registry, strict_json
from schemas.errors import RefusedError
from schemas.findings import Check, Outcome, Report
from tests.support.made_network import NOW, A, B, founded, signer

PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE
MEMBERS = founded().members
RULES = rule_set.of(MEMBERS, B, "NL", NOW)
KEY = signer(f"{B}#credential-1")


def judged(key: str, verdict: Outcome = PASSED, payload: bytes | None = None) -> Judgement:
    data = payload or registry.example(key)
    view = registry.examine(key, data).view
    digest = key.encode().ljust(32, b".")
    claims = SimpleNamespace(document_type=key, number=view.number, issuer=A, valid_from=NOW)
    document: Any = SimpleNamespace(
        claims=claims, view=view, digest=digest, file=SimpleNamespace(payload=data)
    )
    check = Check("CRED-10", verdict, code="" if verdict is PASSED else "status_unknown")
    report = Report(digest.hex(), "2026-11-18T06:00:00.000Z", (check,))
    verified: Any = SimpleNamespace(value=document) if verdict is PASSED else None
    return Judgement(digest.hex(), key, view.number, report, document, verified)


def lines(*given: Judgement, country: str = "NL") -> dict[tuple[str, str], Line]:
    rules = rule_set.of(MEMBERS, B, country, NOW)
    return {line.key: line for line in verdicts(given, rules)}


def test_a_rule_set_is_read_as_it_was_signed() -> None:
    text = rule_set.sign(MEMBERS.network, RULES, KEY)
    found = rule_set.read(text, MEMBERS, B, NOW)
    assert (found.digest, found.country, found.text) == (RULES.digest, "NL", text)
    assert found.same_documents
    assert found.release.country == "NL"
    agreements: Any = found.content["agreements"]
    assert [each["id"] for each in agreements] == ["cn-nl"]


@pytest.mark.parametrize(
    ("rules", "key", "network"),
    [
        (RULES, signer(f"{B}#title-1"), MEMBERS.network),  # a key of another purpose
        (RULES, signer(f"{A}#credential-1"), MEMBERS.network),  # another member's
        (RULES, signer(f"{B}#credential-9"), MEMBERS.network),  # not listed
        (RULES, KEY, bytes(32)),  # another network's
        (replace(RULES, node=A), KEY, MEMBERS.network),  # says it is another node's
        (rule_set.of(MEMBERS, B, "SG", NOW), KEY, MEMBERS.network),  # another country's
    ],
)
def test_a_rule_set_counts_for_its_own_node_country_and_network_only(
    rules: rule_set.RuleSet, key: Any, network: bytes
) -> None:
    with pytest.raises(RefusedError) as caught:
        rule_set.read(rule_set.sign(network, rules, key), MEMBERS, B, NOW)
    assert caught.value.code == "rule_set_untrusted"


def test_an_old_rule_set_and_a_changed_one_are_refused() -> None:
    text = rule_set.sign(MEMBERS.network, RULES, KEY)
    for at in (NOW + timedelta(days=2), NOW - timedelta(hours=1)):
        with pytest.raises(RefusedError) as caught:
            rule_set.read(text, MEMBERS, B, at)
        assert caught.value.code == "rule_set_expired"
    head, _, signature = text.split(".")
    other = jws.sign(strict_json.canonical({}), typ=rule_set.TYP, signer=KEY).split(".")[1]
    with pytest.raises(RefusedError) as forged:
        rule_set.read(f"{head}.{other}.{signature}", MEMBERS, B, NOW)
    assert forged.value.code == "rule_set_untrusted"
    with pytest.raises(RefusedError):
        rule_set.read(text, MEMBERS, B, NOW - timedelta(days=40))  # before the key counted


def test_a_whole_consignment_passes_and_says_what_comes_later() -> None:
    papers = [judged(key) for key in ("bill-of-lading", "phytosanitary-certificate")]
    found = lines(*papers)
    box = "NHLU2631075"
    assert found["PRE-20", box].outcome is PASSED
    assert found["PRE-30", box].about.startswith("phytosanitary-certificate")
    later = {key for key in found if key[0] in ("PRE-70", "PRE-75")}
    assert all(not found[key].blocking for key in later)
    assert any(key[0] == "PRE-75" for key in later)
    assert lines(*papers[::-1]) == found
    here = lines(*papers, judged("delivery-order"), judged("arrival-notice"))
    assert here["PRE-70", "delivery-order"].outcome is PASSED


def test_what_is_not_known_is_not_called_good() -> None:
    found = lines(judged("bill-of-lading", UNKNOWN))
    assert found["PRE-20", "NHLU2631075"].code == "document_undecided"
    assert found["PRE-30", "NHLU2631075"].code == "certificate_missing"
    digest = judged("bill-of-lading").digest
    assert found["PRE-10", digest].values == {"check": "CRED-10"}


def test_further_certificates_and_rail_are_asked_for_by_the_data() -> None:
    bill = registry.example("bill-of-lading").replace(b'"091011"', b'"850760"')
    found = lines(judged("bill-of-lading", payload=bill), country="SG")
    assert found["PRE-40", "dangerous-goods-declaration NHLU2631075"].outcome is FAILED
    rail = lines(judged("rail-consignment-note"), country="KZ")
    assert rail["PRE-20", "SLRU7004514"].outcome is PASSED
    waybill = lines(judged("sea-waybill"))
    assert not [key for key in waybill if key[0] == "PRE-75"]


def test_papers_that_disagree_block_when_they_cannot_belong_together() -> None:
    example = registry.example("arrival-notice")
    for old, new, rule, blocking in (
        (b"26460", b"29460", "XDC-001", False),
        (b"NHLU2631075", b"NHLU4188222", "XDC-004", True),
    ):
        notice = judged("arrival-notice", payload=example.replace(old, new))
        told = [one for key, one in lines(judged("bill-of-lading"), notice).items()
                if key[0] == rule]  # fmt: skip
        assert [one.blocking for one in told] == [blocking]
        assert told[0].values["left"] != told[0].values["right"]
