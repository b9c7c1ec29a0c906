"""The groups of negative tests that one verification shows, and that every group has tests.

The attacks stand in `tests/support/hostile_tokens.py`; a running node meets them in
`tests/integration/verification/test_negative_groups.py`.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import rfc8785

from protocols import jws
from protocols.credentials import sd_credential, status_list, vcdm
from protocols.digest import sha256
from protocols.verify import verify_document
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, TradeError
from schemas.findings import Report, Severity
from tests.shared import ROOT
from tests.support import evidence_world as world
from tests.support import hostile_tokens
from tests.support.hostile_tokens import ATTACKS, Forge
from tests.support.title_world import NOW, ecdsa, ed

FILE = world.issued()
FORGE = Forge(FILE.credential, ecdsa("cn-cert", "credential"))
WITHOUT_TESTS = {17}  # did:webvh, which nobody asked for


def verify(text: str, **changes: object) -> Report:
    values = {
        "members": world.MEMBERS,
        "at": NOW,
        "status": world.status(),
        "verifier_country": "NL",
        **changes,
    }
    report, verified = verify_document(text.encode(), **values)
    passed = report.verdict.value == "PASSED" and not report.historical
    assert (verified is not None) is passed
    return report


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome.value != "PASSED" and check.code != "not_reached"
    }


def refused(group: int, name: str) -> None:
    """Not verified, with a code that is stable and explained, and no echo of the token."""
    make, code = ATTACKS[group][name]
    text = make(FORGE)
    report = verify(text)
    found = wrong(report)
    assert report.verdict.value == "FAILED", found
    assert code in {one for _, one in found.values()}, found
    assert explain(code)
    assert text[-40:] not in json.dumps(report.to_json())


def attacks(group: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", ATTACKS[group])


def test_the_credential_that_is_attacked_is_a_good_one() -> None:
    assert verify(FORGE.good).verdict.value == "PASSED"
    assert verify(FORGE.token()).verdict.value == "PASSED"


# --- keys and algorithms ------------------------------------------------------------------------


@attacks(1)
def test_group_01_an_algorithm_that_is_not_the_keys_own_is_refused(name: str) -> None:
    refused(1, name)


def test_group_01_no_symmetric_signature_exists_where_signatures_are_read() -> None:
    """HMAC derives holders' chain keys (BIP 32) and compares tokens; no verifier imports it."""
    importing = {
        file.relative_to(ROOT).as_posix()
        for package in ("protocols", "schemas", "ledger", "node")
        for file in (ROOT / package).rglob("*.py")
        if "hmac" in file.read_text()  # parsing all of them takes seconds
        and {"hmac", "cryptography.hazmat.primitives.hmac"} & set(_imports(file))
    }
    assert importing <= {"protocols/evm/holder_keys.py", "node/http/peer_auth.py"}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module or ""


@attacks(2)
def test_group_02_a_header_that_brings_or_names_its_key_is_refused(name: str) -> None:
    refused(2, name)


@attacks(3)
def test_group_03_a_key_id_that_is_not_a_listed_key_of_the_issuer_is_refused(name: str) -> None:
    make, code = ATTACKS[3][name]
    report = verify(make(FORGE))
    assert report.verdict.value != "PASSED"
    assert code in {one for _, one in wrong(report).values()}


def test_group_03_a_key_that_only_authenticates_signs_no_credential() -> None:
    exchange = ecdsa("cn-cert", "exchange")
    text = Forge(FILE.credential, exchange).headed(kid=exchange.kid)
    assert wrong(verify(text)) == {"CRED-02": ("FAILED", "key_wrong_purpose")}


def test_group_03_a_key_of_a_log_signs_no_credential() -> None:
    log = ed("nl-port", "log")
    text = Forge(FILE.credential, log).headed(kid=log.kid, alg="EdDSA")
    assert wrong(verify(text))["CRED-02"] == ("FAILED", "key_wrong_purpose")


@attacks(5)
def test_group_05_a_signature_that_is_no_pair_of_numbers_of_the_key_is_refused(name: str) -> None:
    refused(5, name)


def test_group_05_the_other_spelling_of_a_signature_is_the_same_document() -> None:
    """High S verifies (JOSE allows it), so nothing is told apart by a signature (R2)."""
    text = hostile_tokens.high_s(FORGE)
    assert text != FORGE.good
    report = verify(text)
    assert report.verdict.value == "PASSED"
    assert report.subject == verify(FORGE.good).subject


# --- encoding -----------------------------------------------------------------------------------


@attacks(7)
def test_group_07_a_name_twice_in_header_or_payload_is_refused(name: str) -> None:
    refused(7, name)


@pytest.mark.parametrize("twin", ['"salt"', '"s\\u0061lt"'])
def test_group_07_a_name_twice_in_a_disclosed_value_is_refused(twin: str) -> None:
    made = json.dumps(["c" * 22, "name", {"salt": 1}]).replace("1}", "1," + twin + ":2}")
    shown = hostile_tokens.encode(made.encode())
    named = hostile_tokens.encode(sha256(shown.encode()))
    forge = Forge(FORGE.first(f'"_sd":["{named}"]'.encode()), FORGE.signer)
    text = f"{forge.headed(typ='vc+sd-jwt', cty='vc')}~{shown}~"
    with pytest.raises(MalformedError) as caught:
        sd_credential.open_file(text.encode())
    assert caught.value.code == "json_duplicate_name"
    assert verify(text).verdict.value == "FAILED"


@pytest.mark.parametrize("twin", [b'"issuer"', b'"\\u0069ssuer"'])
def test_group_07_a_name_twice_in_a_status_list_is_refused(twin: bytes) -> None:
    text = Forge(world.status(), FORGE.signer).first(twin + b':"did:web:nobody.example"')
    with pytest.raises(MalformedError) as caught:
        status_list.parse_list(text)
    assert caught.value.code == "json_duplicate_name"
    report = verify(FORGE.good, status=text)
    assert wrong(report)["CRED-10"][0] == "INDETERMINATE"


@attacks(8)
def test_group_08_what_readers_of_json_differ_on_is_refused(name: str) -> None:
    refused(8, name)


def test_group_08_an_amount_is_a_decimal_text_and_never_a_binary_fraction() -> None:
    for number in (26460.5, 26460, 2.6e4):
        totals = {"grossWeight": {"value": number, "unit": "KGM"}}
        report = verify(world.issued(world.quality(totals=totals)).credential)
        assert wrong(report)["CRED-09"] == ("FAILED", "document_breaks_rules"), number


@attacks(9)
def test_group_09_base64url_has_one_spelling(name: str) -> None:
    refused(9, name)


def test_group_09_no_bits_hide_behind_the_last_character_of_any_part() -> None:
    """Whatever its length, a part has exactly one last character."""
    for filler in range(3):
        forge = Forge(FORGE.first(b'"a":"' + b"x" * filler + b'"'), FORGE.signer)
        for at in range(3):
            part = forge.good.split(".")[at]
            if len(part) % 4:
                report = verify(forge.part(at, hostile_tokens._other_tail))
                assert "base64url_malformed" in {code for _, code in wrong(report).values()}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("[1.0]", b"[1]"),
        ("[-0.0]", b"[0]"),
        ("[1e20]", b"[100000000000000000000]"),
        ("[1e21]", b"[1e+21]"),
        ("[1e-7]", b"[1e-7]"),
        ("[9007199254740992]", None),
        ("[-9007199254740993]", None),
        ("[NaN]", None),
        ('["\\ud800"]', None),
        ('{"\\ue000":1,"\\ud83d\\ude00":2}', '{"\U0001f600":2,"\ue000":1}'.encode()),
        ('{"b":1,"a":{"d":1,"c":2}}', b'{"a":{"c":2,"d":1},"b":1}'),
    ],
)
def test_group_10_canonical_bytes_are_those_of_rfc_8785_or_none(
    text: str, canonical: bytes | None
) -> None:
    """Each of these comes out otherwise of a fast serialiser that only sorts."""
    if canonical is None:
        with pytest.raises(MalformedError):
            strict_json.loads(text.encode())
        return
    value = strict_json.loads(text.encode())
    assert strict_json.canonical(value) == canonical == rfc8785.dumps(value)


def test_group_10_the_fast_serialiser_alone_would_not_do() -> None:
    for value in (1.0, -0.0, 1e20, {"\ue000": 1, "\U0001f600": 2}):
        assert orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != strict_json.canonical(value)
    assert orjson.dumps(float("nan")) == b"null"
    with pytest.raises((MalformedError, TradeError, ValueError)):
        strict_json.canonical(float("nan"))


@attacks(11)
def test_group_11_an_issuer_that_only_looks_like_another_is_refused(name: str) -> None:
    refused(11, name)


def test_group_11_names_that_look_alike_stay_two() -> None:
    composed, split = "\u00e9", unicodedata.normalize("NFD", "\u00e9")
    text = json.dumps({composed: 1, split: 2}, ensure_ascii=False).encode()
    value = strict_json.loads(text)
    assert value == {composed: 1, split: 2}
    assert strict_json.canonical(value).count(b":") == 2


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u061c"])
def test_group_11_a_text_that_shows_otherwise_than_it_reads_is_flagged(mark: str) -> None:
    text = json.loads(world.quality())["goods"][0]["description"]
    goods = [{**json.loads(world.quality())["goods"][0], "description": f"{mark}{text}"}]
    for payload in (
        world.quality(goods=goods),
        json.dumps(json.loads(world.quality(goods=goods)), ensure_ascii=False).encode(),
    ):
        report = verify(world.issued(payload).credential)
        assert report.verdict.value == "PASSED"
        flagged = [found for found in report.findings if found.rule == "TXT-001"]
        assert [found.pointer for found in flagged] == ["/goods/0/description"]
        assert flagged[0].severity is Severity.WARNING
        assert explain("TXT-001")
    assert not [found for found in verify(FORGE.good).findings if found.rule == "TXT-001"]


# --- time ---------------------------------------------------------------------------------------


@attacks(20)
def test_group_20_a_moment_that_is_none_is_refused(name: str) -> None:
    refused(20, name)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (59, {}),
        (60, {}),
        (61, {"CRED-07": ("FAILED", "credential_not_yet_valid")}),
    ],
)
def test_group_20_validity_may_begin_a_minute_later_and_no_more(
    seconds: int, found: dict[str, tuple[str, str]]
) -> None:
    file = world.issued(valid_from=NOW + timedelta(seconds=seconds))
    assert wrong(verify(file.credential)) == found


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (59, {}),
        (60, {"CRED-07": ("FAILED", "credential_expired")}),
        (86_400, {"CRED-07": ("FAILED", "credential_expired")}),
    ],
)
def test_group_20_validity_ends_a_minute_later_and_no_more(
    seconds: int, found: dict[str, tuple[str, str]]
) -> None:
    end = NOW + timedelta(days=5)
    file = world.issued(valid_until=end)
    at = end + timedelta(seconds=seconds)
    assert wrong(verify(file.credential, at=at, status=world.status(at=at))) == found


def test_group_20_the_earlier_of_two_ends_counts() -> None:
    ends = int(vcdm.SKEW.total_seconds()) + 1
    claims = {
        "@context": [vcdm.CONTEXT],
        "type": ["VerifiableCredential"],
        "issuer": "did:web:cn-cert.example",
        "credentialSubject": {"name": "Example"},
        "validUntil": "2036-01-01T00:00:00Z",
        "exp": int(NOW.timestamp()) - ends,
    }
    opened = vcdm.read(json.dumps(claims).encode())
    with pytest.raises(TradeError) as caught:
        opened.require_in_time(NOW)
    assert caught.value.code == "credential_expired"
    opened.require_in_time(NOW - timedelta(seconds=ends + 1))


def test_group_20_a_past_moment_is_judged_by_the_evidence_of_then() -> None:
    """Revoked since, and not yet then: each moment by the list that was signed for it."""
    earlier = NOW - timedelta(minutes=30)
    before = world.status(at=earlier)
    revoked = world.status(revoked=(FILE,))
    report = verify(FORGE.good, at=earlier, status=before, historical=True)
    assert [check.id for check in report.checks if check.outcome.value == "FAILED"] == []
    assert wrong(verify(FORGE.good, status=revoked)) == {"CRED-10": ("FAILED", "revoked")}


# --- purpose and network ------------------------------------------------------------------------


def test_group_23_a_credential_of_a_test_network_is_refused_on_the_real_one() -> None:
    file = world.issued(network=sha256(b"the test network of the same members"))
    assert wrong(verify(file.credential)) == {"CRED-05": ("FAILED", "other_network")}


def test_group_23_a_credential_for_another_purpose_is_refused() -> None:
    for changes in (
        {"credential_type": "BillOfLadingCredential"},
        {"document_type": "bill-of-lading", "credential_type": "BillOfLadingCredential"},
        {"document_type": "no-such-type"},
    ):
        report = verify(world.issued(**changes).credential)
        codes = {code for _, code in wrong(report).values()}
        assert report.verdict.value == "FAILED", changes
        named = {"claims_contradict_document", "issuer_without_right", "unknown_document_type"}
        assert codes & named, codes


@attacks(24)
def test_group_24_any_other_signed_thing_is_refused_by_its_typ(name: str) -> None:
    refused(24, name)


OTHERS: dict[str, Callable[[], bytes]] = {
    "a status list": lambda: world.status().encode(),
    "an access token": lambda: b"8Jk2nTq0c1Yw5uVd3sXz7aLb9mFhGpRe",
    "a time-stamp response": lambda: bytes.fromhex("3003020100") + bytes(200),
    "an AS4 receipt": lambda: b"<eb:Receipt xmlns:eb='urn:x'><a/></eb:Receipt>",
    "a member list": lambda: world.MEMBERS.signed,
    "a log receipt": lambda: world.receipt(FILE).proof.encode(),
    "a log leaf": lambda: world.receipt(FILE).entry,
    "a title operation": lambda: jws.sign(
        b"{}", typ="px-title+jws", signer=ecdsa("cn-cert", "credential")
    ).encode(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_group_24_what_other_protocols_sign_is_no_credential(name: str) -> None:
    report, verified = verify_document(OTHERS[name](), members=world.MEMBERS, at=NOW)
    assert verified is None
    assert report.verdict.value == "FAILED"
    assert all(explain(code) for _, code in wrong(report).values() if code)


# --- every group --------------------------------------------------------------------------------


def test_every_group_has_tests_under_its_number() -> None:
    named = re.compile(r"def test_[a-z0-9_]*?((?:group_\d\d_(?:and_\d\d_)?)+)")
    found: set[int] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for name in named.findall(file.read_text()):
            found |= {int(number) for number in re.findall(r"\d\d", name)}
    assert found == set(range(1, 29)) - WITHOUT_TESTS
