"""Negative group 4: a document signed under certificates counts only with a whole, listed path."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocols import jws
from protocols.fields import Fields
from protocols.keys import SoftwareSigner
from protocols.member_list import MemberList, RevokedCertificate
from protocols.members.anchors import read_anchor
from protocols.verify import verify_document
from protocols.x509 import names as x509_names
from protocols.x509 import path as x509_path
from protocols.x509 import policy as x509_policy
from protocols.x509.path import Purpose
from protocols.x509.policy import PolicyInput, PolicyTree
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Outcome, Report
from tests.support import certified, pki
from tests.support import evidence_world as world
from tests.support.certified import ISSUER, ROOT, anchor, members, stamp, with_chain
from tests.support.title_world import NOW, did, ecdsa

SIGNER = certified.certified_signer()
KEY = pki.key_of("certified")
MIDDLE = pki.between(ROOT)
LEAF = pki.leaf(MIDDLE, ISSUER, KEY)
CHAIN = [LEAF.der, MIDDLE.der]
LISTED = members()
RSA_1024 = rsa.generate_private_key(65537, 1024)


def verify(
    chain: list[bytes],
    *,
    listed: MemberList = LISTED,
    signer: SoftwareSigner = SIGNER,
    at: datetime = NOW,
    stamped: datetime | None = None,
) -> Report:
    file = with_chain(chain, signer, network=listed.network)
    timestamp = None if stamped is None else stamp(file, stamped)
    status = world.status(network=listed.network, at=at)
    report, _ = verify_document(
        file.to_bytes(), members=listed, at=at, status=status, timestamp=timestamp
    )
    return report


def refused(report: Report, code: str) -> None:
    check = report.check("CRED-15")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.FAILED, code)
    assert report.verdict is Outcome.FAILED
    assert explain(code)


def test_group_04_a_whole_path_to_a_listed_anchor_passes_and_is_shown() -> None:
    report = verify(CHAIN)
    assert report.verdict is Outcome.PASSED, report.to_json()
    check = report.check("CRED-15")
    assert check is not None
    path = ["CN=Test Signer", "CN=Test Intermediate", "CN=Test Root"]
    assert check.evidence["path"] == path
    assert verify([*CHAIN, ROOT.der]).verdict is Outcome.PASSED


def test_group_04_an_unknown_root_is_refused() -> None:
    refused(verify(CHAIN, listed=members(())), "certificate_unknown_root")
    other = pki.root("Another Root")
    refused(verify(CHAIN, listed=members((anchor(other.der),))), "certificate_unknown_root")


def test_r7_an_anchor_counts_for_its_issuer_its_purpose_and_its_time_only() -> None:
    for entry in (
        anchor(subject=did("nl-customs")),
        anchor(purpose="platform", subject="NHLP"),
        anchor(purpose="timestamp", subject=certified.SERVER),
        anchor(valid_until=NOW - timedelta(hours=1)),
        anchor(valid_from=NOW + timedelta(hours=1)),
    ):
        refused(verify(CHAIN, listed=members((entry,))), "certificate_unknown_root")


def test_group_04_an_expired_leaf_is_refused_without_a_time_stamp_and_accepted_with_one() -> None:
    short = pki.leaf(MIDDLE, ISSUER, KEY, end=NOW - timedelta(minutes=30))
    chain = [short.der, MIDDLE.der]
    refused(verify(chain), "certificate_expired")
    in_time = verify(chain, stamped=NOW - timedelta(minutes=40))
    assert in_time.verdict is Outcome.PASSED, in_time.to_json()
    refused(verify(chain, stamped=NOW - timedelta(minutes=20)), "certificate_expired")
    late = pki.leaf(MIDDLE, ISSUER, KEY, start=NOW + timedelta(minutes=1))
    refused(verify([late.der, MIDDLE.der]), "certificate_not_yet_valid")


def test_group_04_a_leaf_that_is_a_ca_is_refused() -> None:
    wrong = pki.leaf(MIDDLE, ISSUER, KEY, ca=True, eku=())
    refused(verify([wrong.der, MIDDLE.der]), "certificate_is_ca")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ca": False, "sign_certificates": True}, "certificate_not_ca"),
        ({"basic": False}, "certificate_not_ca"),
        ({"sign_certificates": False}, "certificate_key_usage"),
    ],
)
def test_group_04_an_intermediate_that_is_no_ca_is_refused(
    changes: dict[str, object], code: str
) -> None:
    middle = pki.between(ROOT, **changes)
    refused(verify([pki.leaf(middle, ISSUER, KEY).der, middle.der]), code)


def test_group_04_a_path_longer_than_a_ca_allows_is_refused() -> None:
    upper = pki.between(ROOT, "Upper", path_length=0)
    lower = pki.between(upper, "Lower")
    leaf = pki.leaf(lower, ISSUER, KEY)
    refused(verify([leaf.der, lower.der, upper.der]), "certificate_path_length")


def constrained(
    permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None = None
) -> list[bytes]:
    middle = pki.between(ROOT, constraints=x509.NameConstraints(permitted, excluded))
    return [pki.leaf(middle, ISSUER, KEY).der, middle.der]


def test_group_04_names_outside_the_constraints_are_refused() -> None:
    elsewhere = [x509.DirectoryName(pki.named("Elsewhere"))]
    here = [x509.DirectoryName(pki.named("Test Signer"))]
    refused(verify(constrained(elsewhere)), "certificate_name_constraints")
    refused(verify(constrained(None, here)), "certificate_name_constraints")
    other = [x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")]
    refused(verify(constrained(other)), "certificate_name_constraints")
    # A did: URI has no host, so a constraint on URIs never permits it.
    uri: list[x509.GeneralName] = [x509.UniformResourceIdentifier("example")]
    refused(verify(constrained(uri)), "certificate_name_constraints")
    assert verify(constrained(here)).verdict is Outcome.PASSED


@pytest.mark.parametrize(
    "eku", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
)
def test_group_04_another_extended_key_usage_is_refused(eku: x509.ObjectIdentifier) -> None:
    wrong = pki.leaf(MIDDLE, ISSUER, KEY, eku=(eku,))
    refused(verify([wrong.der, MIDDLE.der]), "certificate_key_usage")
    none = pki.leaf(MIDDLE, ISSUER, KEY, eku=())
    assert verify([none.der, MIDDLE.der]).verdict is Outcome.PASSED


def test_group_04_sha_1_and_short_rsa_are_refused() -> None:
    weak = pki.between(ROOT, "Weak", key=RSA_1024)
    refused(verify([pki.leaf(weak, ISSUER, KEY).der, weak.der]), "certificate_weak")
    der = sha_1(LEAF.der)
    refused(verify([der, MIDDLE.der]), "certificate_weak")


def sha_1(der: bytes) -> bytes:
    """The certificate with ecdsa-with-SHA1 as its algorithm: no library here signs it any more."""
    sha_256 = pki.oid("1.2.840.10045.4.3.2")
    wrong = pki.oid("1.2.840.10045.4.1")
    body = der.replace(pki.tlv(0x30, sha_256), pki.tlv(0x30, wrong))
    outer = x509.load_der_x509_certificate(der)
    tbs = outer.tbs_certificate_bytes.replace(pki.tlv(0x30, sha_256), pki.tlv(0x30, wrong))
    inner = tbs[4:] if tbs[1] == 0x82 else tbs[3:]
    signature = pki.tlv(3, b"\x00" + outer.signature)
    assert body != der
    return pki.tlv(0x30, pki.tlv(0x30, inner), pki.tlv(0x30, wrong), signature)


def test_group_04_a_leaf_of_another_key_is_refused() -> None:
    """Both where the key id is listed with another key, and where it is not listed at all."""
    listed_key = ecdsa("cn-cert", "credential")
    refused(verify(CHAIN, signer=listed_key), "certificate_other_key")
    report = verify(CHAIN, signer=certified.certified_signer("attacker"))
    check = report.check("CRED-03")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.FAILED, "bad_signature")


def test_group_04_a_listed_key_with_its_own_certificate_passes() -> None:
    signer = ecdsa("cn-cert", "credential")
    number = int.from_bytes(pki.sha256(b"cn-cert credential"), "big") >> 1
    own = pki.leaf(MIDDLE, ISSUER, ec.derive_private_key(number, ec.SECP256R1()))
    assert verify([own.der, MIDDLE.der], signer=signer).verdict is Outcome.PASSED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"compromised": NOW - timedelta(days=1)}, "key_compromised"),
        ({"key_ends": NOW - timedelta(minutes=30)}, "key_not_current"),
    ],
)
def test_r17_a_lost_or_ended_key_does_not_come_back_under_another_id_by_its_certificate(
    changes: dict[str, datetime], expected: str
) -> None:
    listed = members(**changes)
    number = int.from_bytes(pki.sha256(b"cn-cert credential"), "big") >> 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    own = pki.leaf(MIDDLE, ISSUER, key)
    renamed = SoftwareSigner(f"{ISSUER}#nobody-knows-it", key)
    check = verify([own.der, MIDDLE.der], signer=renamed, listed=listed).check("CRED-02")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.FAILED, expected)


def test_r1_a_certificate_makes_no_credential_key_of_one_listed_for_something_else() -> None:
    number = int.from_bytes(pki.sha256(b"cn-cert exchange"), "big") >> 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    own = pki.leaf(MIDDLE, ISSUER, key)
    renamed = SoftwareSigner(f"{ISSUER}#nobody-knows-it", key)
    assert ecdsa("cn-cert", "exchange").public().thumbprint() == renamed.public().thumbprint()
    check = verify([own.der, MIDDLE.der], signer=renamed).check("CRED-02")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.FAILED, "key_wrong_purpose")


def test_group_04_a_chain_in_reverse_or_with_a_gap_is_refused() -> None:
    refused(verify([MIDDLE.der, LEAF.der]), "certificate_order")
    refused(verify([MIDDLE.der, LEAF.der, ROOT.der]), "certificate_order")
    refused(verify([LEAF.der]), "certificate_unknown_root")
    refused(verify([ROOT.der]), "certificate_is_ca")


def test_group_04_a_certificate_signed_by_another_of_the_same_name_is_refused() -> None:
    twin = pki.root(key=pki.key_of("twin"))
    middle = pki.between(twin)
    leaf = pki.leaf(middle, ISSUER, KEY)
    refused(verify([leaf.der, middle.der]), "certificate_signature")


@pytest.mark.parametrize("count", [7, 11])
def test_group_04_more_than_six_certificates_are_refused(count: int) -> None:
    report = verify([LEAF.der] * count)
    check = report.check("CRED-01")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.FAILED, "jws_header_malformed")
    with pytest.raises(RefusedError, match="certificate_chain_too_long"):
        x509_path.validate([LEAF.der] * count, [ROOT.der], NOW)


def test_group_04_a_certificate_of_another_issuer_is_refused() -> None:
    for uri in (did("nl-customs"), ISSUER + "x", None):
        wrong = pki.leaf(MIDDLE, uri or "", KEY)
        refused(verify([wrong.der, MIDDLE.der]), "certificate_other_name")


def test_group_04_x5c_in_base64url_is_refused() -> None:
    file = world.issued(signer=SIGNER)
    text = base64.urlsafe_b64encode(LEAF.der + b"\xff" * (3 - len(LEAF.der) % 3)).decode()
    assert "-" in text or "_" in text or "=" not in text
    for wrong in (text, base64.b64encode(LEAF.der).decode().rstrip("=") + "=_", "-_-_"):
        made = certified.with_header(file, SIGNER, [wrong])
        with pytest.raises(MalformedError):
            jws.parse(made.credential, typ="vc+jwt")


def test_group_04_a_certificate_the_list_revokes_counts_no_longer() -> None:
    for one in (LEAF, MIDDLE):
        for since, code in ((NOW - timedelta(hours=1), "certificate_path_revoked"), (None, "")):
            moment = since or NOW + timedelta(hours=1)
            gone = RevokedCertificate(pki.sha256(one.der), moment)
            report = verify(CHAIN, listed=members((anchor(revoked=(gone,)),)))
            if code:
                refused(report, code)
            else:
                assert report.verdict is Outcome.PASSED


def test_group_04_an_unknown_critical_extension_is_refused() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for critical in (True, False):
        builder = (
            x509.CertificateBuilder()
            .subject_name(pki.named("Test Signer"))
            .issuer_name(pki.named("Test Intermediate"))
            .public_key(KEY.public_key())
            .serial_number(3)
            .not_valid_before(pki.START)
            .not_valid_after(pki.START + pki.YEARS)
            .add_extension(unknown, critical)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(ISSUER)]), False
            )
        )
        made = builder.sign(MIDDLE.key, hashes.SHA256())
        report = verify([made.public_bytes(x509_path.Encoding.DER), MIDDLE.der])
        if critical:
            refused(report, "certificate_critical_extension")
        else:
            assert report.verdict is Outcome.PASSED


def test_group_04_bytes_that_are_no_certificate_are_refused() -> None:
    for wrong in (b"\x30\x00", LEAF.der[:-1], LEAF.der + b"\x00", bytes(20_000), b""):
        with pytest.raises(TradeError):
            x509_path.load(wrong)
    refused(verify([b"\x30\x00", MIDDLE.der]), "certificate_malformed")


def test_group_04_a_certified_key_of_an_unused_kind_signs_nothing() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ed448.Ed448PrivateKey.generate()):
        wrong = pki.leaf(MIDDLE, ISSUER, key)
        refused(verify([wrong.der, MIDDLE.der]), "key_malformed")


def test_keys_of_every_used_kind_certify_and_sign() -> None:
    ed = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    p384 = ec.derive_private_key(12345, ec.SECP384R1())
    for key in (ed, p384):
        signer = SoftwareSigner(f"{ISSUER}#kind", key)
        chain = [pki.leaf(MIDDLE, ISSUER, key).der, MIDDLE.der]
        assert verify(chain, signer=signer).verdict is Outcome.PASSED


def test_authorities_of_every_used_kind_sign() -> None:
    for key in (
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        ec.generate_private_key(ec.SECP521R1()),
    ):
        built = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        top = pki.root("Kind", key=key, digest=hashes.SHA512() if built else None)
        leaf = pki.leaf(top, ISSUER, KEY, digest=hashes.SHA512() if built else None)
        path = x509_path.validate([leaf.der], [top.der], NOW)
        assert path.leaf.public_bytes(x509_path.Encoding.DER) == leaf.der


def test_a_time_stamp_or_platform_certificate_is_asked_for_its_own_use() -> None:
    with pytest.raises(RefusedError, match="certificate_key_usage"):
        x509_path.validate(CHAIN, [ROOT.der], NOW, purpose=Purpose.TIMESTAMP)
    assert x509_path.validate(CHAIN, [ROOT.der], NOW, purpose=Purpose.PLATFORM)


@pytest.mark.parametrize(
    ("name", "tree", "within"),
    [
        (x509.DNSName("a.example"), x509.DNSName("example"), True),
        (x509.DNSName("example"), x509.DNSName(".example"), False),
        (x509.DNSName("badexample"), x509.DNSName("example"), False),
        (x509.RFC822Name("a@host.example"), x509.RFC822Name("host.example"), True),
        (x509.RFC822Name("a@host.example"), x509.RFC822Name("b@host.example"), False),
        (x509.RFC822Name("a@host.example"), x509.RFC822Name(".example"), True),
        (
            x509.UniformResourceIdentifier("https://u@a.example:1/x"),
            x509.UniformResourceIdentifier("a.example"),
            True,
        ),
        (x509.DNSName("a.example"), x509.RFC822Name("a.example"), False),
    ],
)
def test_names_lie_within_a_constraint_or_not(
    name: x509.GeneralName, tree: x509.GeneralName, within: bool
) -> None:
    assert x509_names._is_within(name, tree) is within


def test_addresses_and_mail_in_a_subject_are_constrained_too() -> None:
    import ipaddress

    inside = x509.IPAddress(ipaddress.ip_address("10.1.2.3"))
    net = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
    assert x509_names._is_within(inside, net)
    assert not x509_names._is_within(inside, inside)
    assert x509_names._mail("a@b.example").value == "a@b.example"
    with pytest.raises(RefusedError):
        x509_names._mail("Ä@ä")


@pytest.mark.parametrize(
    "data",
    [b"\x30", b"\x30\x80", b"\x30\x84", b"\x30\x05\x00", b"\x30\x81\x05\x00"],
)
def test_policy_mappings_that_are_no_der_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(x509_policy._elements(data))


def test_object_identifiers_are_read_and_cut_ones_refused() -> None:
    assert x509_policy._dotted(bytes.fromhex("2a864886f70d")) == "1.2.840.113549"
    assert x509_policy._dotted(bytes.fromhex("883703")) == "2.999.3"
    for wrong in (b"", b"\x2a\x86"):
        with pytest.raises(MalformedError):
            x509_policy._dotted(wrong)


def test_a_flood_of_policies_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x509_policy, "MAX_NODES", 0)
    tree = PolicyTree(1, PolicyInput())
    with pytest.raises(RefusedError):
        tree._grow({"1.2.3"}, wide=True)


def test_an_anchor_in_the_list_is_read_strictly_and_told_of() -> None:
    made = members((anchor(revoked=(RevokedCertificate(bytes(32), NOW),)),))
    assert made.anchors_for("credential", None, NOW) == made.anchors
    for wrong in (
        {"purpose": "anything"},
        {"subject": "NHLP"},
        {"certificate": b""},
        {"valid_until": pki.START - timedelta(days=1)},
    ):
        with pytest.raises(MalformedError, match="member_list_malformed"):
            members((replace(anchor(), **wrong),))


@pytest.mark.parametrize("text", ["%%%%", "AAA", "QQ", "-_-_"])
def test_an_anchor_that_is_not_in_base64_is_refused(text: str) -> None:
    body = {**anchor().to_json(), "certificate": text}
    with pytest.raises(MalformedError, match="member_list_malformed"):
        read_anchor(Fields(body, "member_list_malformed"))


def test_bytes_under_another_form_are_not_reached_by_the_certificate_steps() -> None:
    from protocols.verify import Case
    from protocols.verify.certificate_steps import (
        cred_15_certificates,
        cred_16_countersignature,
        tst_02_moment,
    )

    case = Case(b"nothing", LISTED, NOW)
    for step in (cred_15_certificates, cred_16_countersignature, tst_02_moment):
        assert step(case).code == "not_reached"
    case.faults["CRED-16"] = MalformedError("countersignature_malformed")
    assert cred_16_countersignature(case).outcome is Outcome.FAILED
