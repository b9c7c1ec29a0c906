"""Laws and rules are data: known codes, the packaged rules, and both inside the title's id."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from node.title import reliability
from protocols import jws
from protocols.title.operation import ISSUANCE_TYP, read_manifest, sign_manifest
from schemas import laws
from schemas.errors import MalformedError
from tests.support.title_world import ecdsa, manifest


def test_a_carrier_without_a_law_of_its_country_issues_under_the_model_law() -> None:
    assert laws.of_country("GB") == "GB-ETDA-2023"
    assert laws.of_country("SG") == "SG-ETA-2021"
    assert laws.of_country("CN") == "CN-MC-2025"
    assert laws.of_country("NL") == laws.DEFAULT
    assert all(laws.CODE.fullmatch(code) for code in laws.laws())
    assert laws.rulebook_digest() == sha256(laws.rulebook()).digest()


def test_where_clauses_are_not_cited_by_their_own_numbers_the_report_says_so() -> None:
    said = {code for code, law in laws.laws().items() if law.cited}
    assert said == {"SG-ETA-2021", "CN-MC-2025"}
    for line in reliability.lines():
        own = "MLETR art." not in line["clause"] and ":" not in line["clause"]
        assert own is (line["law"] not in said), line
    assert all({"en", "zh"} == set(laws.laws()[code].cited) for code in said)


def test_the_title_commits_to_its_law_and_rules() -> None:
    plain = manifest()
    named = replace(plain, law="MLETR", rulebook=laws.rulebook_digest())
    other = replace(named, law="SG-ETA-2021")
    assert len({plain.title(), named.title(), other.title()}) == 3
    assert read_manifest(sign_manifest(named, ecdsa("nhl", "title")))[1] == named


@pytest.mark.parametrize("law", ["", "mletr", "GB ETDA", "X" * 41, 7])
def test_a_law_that_is_no_code_is_malformed(law: object) -> None:
    body = json.loads(manifest().to_bytes()) | {"governingLaw": law}
    payload = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    text = jws.sign(payload, typ=ISSUANCE_TYP, signer=ecdsa("nhl", "title"))
    with pytest.raises(MalformedError, match="issuance_manifest_malformed"):
        read_manifest(text)
