"""Negative groups 3, 6, 25 and 26: keys in their time, second signatures, time-stamps."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from protocols import timestamp
from protocols.credentials import countersignature, credential, sd_credential
from protocols.credentials.credential import DocumentFile
from protocols.keys import SoftwareSigner
from protocols.member_list import MemberList, RevokedCertificate
from protocols.verify import Receipt, verify_document
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from schemas.findings import Outcome, Report
from tests.support import certified, pki
from tests.support import evidence_world as world
from tests.support.certified import (
    STAMPER,
    TIME_ROOT,
    countersigned,
    members,
    mldsa_signer,
    stamp,
    time_anchor,
)
from tests.support.title_world import NOW, did, ecdsa

ENDED = NOW - timedelta(minutes=30)
EARLY, LATE = NOW - timedelta(minutes=45), NOW - timedelta(minutes=15)
LISTED = members()


def verify(
    file: DocumentFile,
    listed: MemberList = LISTED,
    *,
    response: bytes | None = None,
    receipt: Receipt | None = None,
    at: datetime = NOW,
) -> Report:
    # The issuer's other key signs the status list: it goes on when the first one ends.
    status = world.status(
        network=listed.network, at=EARLY, ttl=timedelta(hours=2), signer=mldsa_signer()
    )
    report, _ = verify_document(
        file.to_bytes(), members=listed, at=at, status=status, timestamp=response, receipt=receipt
    )
    return report


def issued(listed: MemberList = LISTED, **changes: object) -> DocumentFile:
    return world.issued(network=listed.network, **changes)


def outcome(report: Report, check_id: str) -> tuple[str, str]:
    check = report.check(check_id)
    assert check is not None
    assert not check.code or explain(check.code), check.code
    return check.outcome.value, check.code


# --- group 3: the key's time -------------------------------------------------------------------


def test_group_03_a_rotated_key_counts_when_it_was_stamped_before_and_else_not() -> None:
    listed = members(key_ends=ENDED)
    file = issued(listed)
    assert outcome(verify(file, listed), "CRED-02") == ("FAILED", "key_not_current")
    stamped = verify(file, listed, response=stamp(file, EARLY))
    assert outcome(stamped, "CRED-02") == ("PASSED", "")
    assert stamped.verdict is Outcome.PASSED, stamped.to_json()
    late = verify(file, listed, response=stamp(file, LATE))
    assert outcome(late, "CRED-02") == ("FAILED", "key_not_current")


def test_group_03_a_rotated_key_counts_when_witnesses_saw_its_document_before() -> None:
    listed = members(key_ends=ENDED)
    file = issued(listed)
    seen = verify(file, listed, receipt=world.receipt(file, at=EARLY))
    assert outcome(seen, "CRED-02") == ("PASSED", "")
    late = verify(file, listed, receipt=world.receipt(file, at=LATE))
    assert outcome(late, "CRED-02") == ("FAILED", "key_not_current")
    unwitnessed = verify(file, listed, receipt=world.receipt(file, witnesses=("cn-port",)))
    assert outcome(unwitnessed, "CRED-02") == ("FAILED", "key_not_current")


def test_r17_the_earlier_of_two_proven_times_counts() -> None:
    listed = members(key_ends=ENDED)
    file = issued(listed)
    for seen, stamped in ((EARLY, LATE), (LATE, EARLY)):
        receipt = world.receipt(file, at=seen)
        report = verify(file, listed, receipt=receipt, response=stamp(file, stamped))
        assert outcome(report, "CRED-02") == ("PASSED", "")


def test_r17_a_time_stamp_of_another_document_saves_no_key() -> None:
    listed = members(key_ends=ENDED)
    file, other = issued(listed), issued(listed, payload=world.quality("Q-9"))
    report = verify(file, listed, response=stamp(other, EARLY))
    assert outcome(report, "TST-01") == ("FAILED", "tsa_other_digest")
    assert outcome(report, "CRED-02") == ("FAILED", "key_not_current")


# --- group 6: the second signature ---------------------------------------------------------------

FROM = NOW - timedelta(hours=3)


def test_group_06_both_signatures_pass_and_the_second_one_is_shown() -> None:
    listed = members(both_from=FROM)
    file = countersigned(issued(listed), listed, mldsa_signer())
    report = verify(file, listed)
    assert report.verdict is Outcome.PASSED, report.to_json()
    check = report.check("CRED-16")
    assert check is not None
    assert check.evidence["algorithm"] == "ML-DSA-65"
    assert DocumentFile.from_bytes(file.to_bytes()) == file
    assert file.media_type == credential.MEDIA_TYPE_BESIDE


def test_group_06_a_second_signature_taken_away_is_noticed_where_the_list_asks_for_both() -> None:
    listed = members(both_from=FROM)
    assert outcome(verify(issued(listed), listed), "CRED-16") == (
        "FAILED",
        "countersignature_missing",
    )
    later = members(both_from=NOW + timedelta(hours=1))
    plain = verify(issued(later), later)
    assert plain.check("CRED-16") is None
    assert plain.verdict is Outcome.PASSED


def test_group_06_what_was_proven_signed_before_the_demand_needs_no_second_signature() -> None:
    listed = members(both_from=ENDED)
    file = issued(listed)
    assert outcome(verify(file, listed), "CRED-16")[0] == "FAILED"
    assert verify(file, listed, response=stamp(file, EARLY)).check("CRED-16") is None


@pytest.mark.parametrize("asked", [None, FROM])
def test_group_06_a_second_signature_that_is_wrong_is_refused_asked_for_or_not(
    asked: datetime | None,
) -> None:
    listed = members(both_from=asked)
    file, other = issued(listed), issued(listed, payload=world.quality("Q-9"))
    good = countersigned(file, listed, mldsa_signer()).countersignature
    forged = good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    second = countersigned(other, listed, mldsa_signer()).countersignature
    stranger = SoftwareSigner(did("nl-port") + "#credential-2", mldsa_key("s"))
    wrong = {
        forged: ("FAILED", "bad_signature"),
        second: ("FAILED", "countersignature_other_document"),
        "a.b.c": ("FAILED", "base64url_malformed"),
        countersigned(file, listed, mldsa_signer("attacker")).countersignature: (
            "FAILED",
            "bad_signature",
        ),
        countersigned(file, listed, stranger).countersignature: (
            "INDETERMINATE",
            "key_not_listed",
        ),
    }
    for text, expected in wrong.items():
        told = outcome(verify(replace(file, countersignature=text), listed), "CRED-16")
        assert told[0] == expected[0]
        assert told[1] in {expected[1], "jws_malformed"}, text[:20]


def mldsa_key(name: str) -> object:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    return mldsa.MLDSA65PrivateKey.from_seed_bytes(pki.sha256(name.encode()))


def test_group_06_only_ml_dsa_makes_a_second_signature() -> None:
    signer = ecdsa("cn-cert", "credential")
    with pytest.raises(RefusedError):
        countersignature.sign(LISTED.network, bytes(32), signer)
    from protocols import jws

    file = issued()
    text = jws.sign(
        countersignature.payload(LISTED.network, file.digest),
        typ=countersignature.TYP,
        signer=signer,
    )
    report = verify(replace(file, countersignature=text))
    assert outcome(report, "CRED-16") == ("FAILED", "countersignature_algorithm")


def test_group_06_the_second_key_is_a_credential_key_of_the_issuer_in_its_time() -> None:
    file = countersigned(issued(), LISTED, mldsa_signer())
    early = LISTED.key(mldsa_signer().kid)
    assert early is not None
    for changes, code in (
        ({"valid_until": ENDED}, "countersignature_key_not_current"),
        ({"compromised_from": ENDED, "compromise_announced": LATE},
         "countersignature_key_not_current"),
        ({"compromised_from": ENDED, "compromise_announced": NOW + timedelta(1)}, "key_doubtful"),
        ({"purpose": "exchange"}, "key_wrong_purpose"),
    ):  # fmt: skip
        nodes = tuple(
            replace(
                node,
                keys=tuple(
                    replace(key, **changes) if key.kid == early.kid else key for key in node.keys
                ),
            )
            for node in LISTED.nodes
        )
        report = verify(file, replace(LISTED, nodes=nodes))
        assert outcome(report, "CRED-16")[1] == code


@pytest.mark.parametrize("form", ["vc+sd-jwt", "dc+sd-jwt"])
def test_group_06_a_document_shown_in_part_keeps_its_second_signature(form: str) -> None:
    from tests.unit.sd_jwt.test_documents import issued as shown_in_part

    file = shown_in_part(form=form)
    both = countersigned(file, LISTED, mldsa_signer())
    data = both.to_bytes()
    assert sd_credential.open_file(data).file == both
    assert sd_credential.combined(data, file.to_bytes()) == data


def test_a_file_is_taken_apart_and_put_together_again() -> None:
    assert countersignature.split(b"a.b.c\nrest x") == (b"a.b.c\nrest x", "")
    assert countersignature.split(b"a.b.c d.e.f\nrest x") == (b"a.b.c\nrest x", "d.e.f")
    assert countersignature.join(b"a.b.c\nrest", "d") == b"a.b.c d\nrest"
    assert countersignature.join(b"a", "") == b"a"
    for wrong in (b"a ", b"a \xff", b"a " + b"x" * 9000):
        with pytest.raises(MalformedError):
            countersignature.split(wrong)
    # A phytosanitary certificate travels beside its credential: the space is behind the latter.
    beside = DocumentFile(issued().credential, b"<xml/>", countersignature="d.e.f")
    assert beside.to_bytes().endswith(b" d.e.f\n<xml/>")


# --- groups 25 and 26: time-stamps ----------------------------------------------------------------

DATA = b"what is stamped"


def stamped(server: pki.Server = STAMPER, at: datetime = EARLY, **changes: object) -> bytes:
    return server.stamp(DATA, at, **changes)


GOOD = stamped()


def judged(response: bytes, *, at: datetime = NOW, **changes: object) -> timestamp.TimeStamp:
    return timestamp.verify(response, DATA, [TIME_ROOT.der], at=at, **changes)


def test_group_25_a_good_stamp_tells_the_latest_moment_it_can_mean() -> None:
    assert judged(stamped()).at == EARLY + timedelta(milliseconds=999)
    assert judged(stamped(accuracy=3)).at == EARLY + timedelta(seconds=3, milliseconds=999)
    assert judged(stamped(nonce=5), nonce=5).nonce == 5
    middle = pki.between(TIME_ROOT, serial=50)
    long = replace(pki.server(middle), above=(middle, TIME_ROOT))
    assert len(judged(stamped(long)).chain) == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"eku_critical": False}, "certificate_key_usage"),
        ({"eku": ()}, "certificate_key_usage"),
        ({"eku": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "certificate_key_usage"),
        (
            {"eku": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH)},
            "certificate_key_usage",
        ),
        ({"end": EARLY - timedelta(minutes=1)}, "certificate_expired"),
        ({"start": LATE}, "certificate_not_yet_valid"),
        ({"end": LATE}, "tsa_expired"),
    ],
)
def test_group_25_a_server_without_the_right_certificate_proves_nothing(
    changes: dict[str, object], code: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        judged(stamped(pki.server(TIME_ROOT, **changes)))
    assert caught.value.code == code
    assert explain(code)


def test_group_25_an_expired_server_counts_until_a_later_stamp_covered_it() -> None:
    short = pki.server(TIME_ROOT, end=LATE)
    assert judged(stamped(short), at=LATE - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (STAMPER.stamp(b"other bytes", EARLY), "tsa_other_digest"),
        (stamped(imprint=pki.SHA1_OID), "tsa_imprint_weak"),
        (stamped(break_signature=True), "tsa_signature"),
        (stamped(replace(STAMPER, send=False)), "tsa_certificate_missing"),
        (stamped(pki.server(pki.root("Elsewhere"))), "certificate_unknown_root"),
        (stamped(status=2), "tsa_refused"),
    ],
)
def test_group_25_a_stamp_that_is_not_whole_is_refused(response: bytes, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        judged(response)
    assert caught.value.code in {code, "tsa_not_der"}
    assert caught.value.code == code or code == "tsa_refused"


def test_group_25_another_nonce_is_refused() -> None:
    for response in (stamped(nonce=6), stamped()):
        with pytest.raises(RefusedError, match="tsa_nonce"):
            judged(response, nonce=5)


def test_group_25_a_revoked_server_counts_no_longer() -> None:
    gone = RevokedCertificate(pki.sha256(STAMPER.certificate.der), EARLY - timedelta(minutes=1))
    listed = members((time_anchor(revoked=(gone,)),))
    file = issued(listed)
    report = verify(file, listed, response=stamp(file, EARLY))
    assert outcome(report, "TST-01") == ("FAILED", "certificate_path_revoked")


def test_group_25_a_stamp_of_before_the_document_begins_is_refused() -> None:
    file = issued()
    report = verify(file, response=stamp(file, world.ISSUED - timedelta(minutes=5)))
    assert outcome(report, "TST-02") == ("FAILED", "timestamp_before_validity")
    assert report.verdict is Outcome.FAILED


def test_r7_a_server_that_is_not_listed_proves_nothing_and_fails_nothing() -> None:
    file = issued()
    for anchors in ((), (certified.anchor(TIME_ROOT.der),)):
        listed = members(anchors)
        report = verify(issued(listed), listed, response=stamp(issued(listed), EARLY))
        assert outcome(report, "TST-01") == ("INDETERMINATE", "certificate_unknown_root")
        assert outcome(report, "TST-02") == ("INDETERMINATE", "not_reached")
        assert report.verdict is Outcome.INDETERMINATE
    assert verify(file, response=stamp(file, EARLY)).verdict is Outcome.PASSED


def test_a_stamp_of_a_file_that_does_not_open_is_not_reached() -> None:
    report, _ = verify_document(b"nothing", members=LISTED, at=NOW, timestamp=stamped())
    assert outcome(report, "TST-01") == ("INDETERMINATE", "not_reached")


@pytest.mark.parametrize("wrong", [b"", b"0", b"\x30\x00", b"\x30\x80\x00\x00", b"not der" * 9])
def test_group_26_bytes_that_are_no_der_are_named_and_never_crash(wrong: bytes) -> None:
    with pytest.raises(MalformedError, match="tsa_not_der"):
        timestamp.read(wrong)


def test_group_26_a_response_with_unsorted_certificates_is_named() -> None:
    extra = pki.between(TIME_ROOT, "A much longer name than the other one", serial=50)
    whole = replace(STAMPER, above=(extra,)).stamp(DATA, EARLY)
    one, two = sorted([STAMPER.certificate.der, extra.der])
    assert one + two in whole
    assert judged(whole)
    with pytest.raises(MalformedError, match="tsa_not_der"):
        timestamp.read(whole.replace(one + two, two + one))
    file = issued()
    report = verify(file, response=whole.replace(one + two, two + one))
    assert outcome(report, "TST-01") == ("FAILED", "tsa_not_der")


def test_a_response_too_large_is_refused() -> None:
    with pytest.raises(TooLargeError):
        timestamp.read(bytes(timestamp.MAX_BYTES + 1))


@given(st.data())
def test_group_26_any_changed_byte_gives_a_typed_error_or_changes_nothing_that_counts(
    data: st.DataObject,
) -> None:
    good = GOOD
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] = data.draw(st.integers(0, 255))
    try:
        found = judged(bytes(changed))
    except TradeError:
        return
    assert (found.made, found.imprint) == (EARLY, pki.sha256(DATA))


@pytest.mark.parametrize("nonce", [1, 0xFEDC, 2**64 - 1])
def test_a_query_is_one_that_others_read(nonce: int, tmp_path: Path) -> None:
    from rfc3161_client import _rust

    read = _rust.parse_timestamp_request(timestamp.request(DATA, nonce))
    assert (read.nonce, read.message_imprint.message) == (nonce, pki.sha256(DATA))
    assert read.cert_req
    for wrong in (0, 2**64):
        with pytest.raises(ValueError, match="nonce"):
            timestamp.request(DATA, wrong)


def test_group_25_openssl_answers_our_query_and_we_verify_its_answer(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate = STAMPER.certificate
    pem = x509.load_der_x509_certificate(certificate.der).public_bytes(Encoding.PEM)
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, text in (("tsa.pem", pem), ("tsa.key", key), ("serial", b"01\n")):
        (tmp_path / name).write_bytes(text)
    (tmp_path / "tsa.cnf").write_text(
        "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\n"
        "signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\ness_cert_id_alg=sha256\n"
    )
    (tmp_path / "q.tsq").write_bytes(timestamp.request(DATA, 77))
    command = [openssl, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "q.tsq", "-out", "r"]
    before = datetime.now(UTC).replace(microsecond=0)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    answer = (tmp_path / "r").read_bytes()
    now = datetime.now(UTC)
    assert before <= judged(answer, nonce=77, at=now).made <= now
