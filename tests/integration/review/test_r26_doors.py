"""R26 at every door: the signer refuses without the approvals that the desk's policy asks for."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import create_engine

from node import person_key
from node.documents import issuing, revoking
from node.documents.documents import find
from node.documents.orders import read_issue, status_subject
from node.documents.revoking import Change
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.fsck import Context, examine
from node.keystore import KeyStore
from node.operator import operator
from node.review.service import ReviewService
from node.trust.service import TrustService
from protocols import approval
from protocols.credentials import did
from schemas import registry
from schemas.errors import ConflictError, ForbiddenError, MalformedError, RefusedError, TradeError
from tests.support.approvers import Approver, admit, approver, register, signed_at
from tests.support.desk import (
    COO,
    QUALITY,
    applied,
    body_of,
    certificate,
    decide,
    issued_by,
    make_desk,
    put_policy,
    subject_at,
    subject_of_body,
)
from tests.support.network import did_of
from tests.support.process import node_process, pratique
from tests.support.running import running_node
from tests.support.written import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from node.home import Home
    from node.operator import OperatorClient

SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("review", ReviewService),
)
DOUBTFUL = {"containers": [{"number": "NHLU2631076"}]}  # a warning: the check digit
#: One approval for certificates of origin, two for quality certificates, and for taking back.
TYPES: dict[str, dict[str, Any]] = {
    COO: {"auto": False, "acts": {"revoke": 1, "suspend": 1, "reinstate": 2}},
    QUALITY: {"auto": False, "second": True},
}
LIN, WU = approver("Lin Demo"), approver("Wu Demo")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running desk whose own policy binds, with two persons."""
    home = make_desk(tmp_path_factory.mktemp("desk"))
    put_policy(home, TYPES)
    with node_process(home):
        with operator(home.path) as client:
            register(client, "Lin Demo", "Wu Demo")
        yield home


@pytest.fixture
def client(desk: Home) -> Iterator[OperatorClient]:
    with operator(desk.path) as made:
        yield made


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(TradeError) as caught:
        call()
    return caught.value.code


def post(client: OperatorClient, body: dict[str, Any], *approvals: str) -> Any:
    return client.post(
        "/v1/documents", body | ({"approvals": list(approvals)} if approvals else {})
    )


def test_r26_the_api_issues_nothing_without_an_approval_of_this_very_order(
    client: OperatorClient,
) -> None:
    body = body_of(certificate(1))
    subject = subject_of_body(body)
    with pytest.raises(ForbiddenError) as caught:
        post(client, body)
    assert caught.value.code == "approval_missing"
    assert (caught.value.context["needed"], caught.value.context["missing"]) == (1, 1)

    until = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    desk = client.get("/v1/review/policy")
    own = {"network": bytes.fromhex(desk["network"]), "policy": desk["policy"]}
    past = datetime.now(UTC) - timedelta(days=8)
    good = signed_at(client, LIN, subject)
    others = {
        "approval_other_subject": [
            signed_at(client, LIN, subject_of_body(body_of(certificate(2)))),
            signed_at(client, LIN, subject_of_body(body | {"validUntil": until})),
            signed_at(client, LIN, subject_of_body(body | {"form": "vc+sd-jwt"})),
        ],
        "approval_other_act": [signed_at(client, LIN, replace(subject, act="revoke"))],
        "approval_other_network": [LIN.sign(subject, **own | {"network": bytes(32)})],
        "approval_other_policy": [LIN.sign(subject, **own | {"policy": "example " + "0" * 64})],
        "approval_expired": [LIN.sign(subject, **own, at=past)],
        "approval_person_unknown": [signed_at(client, approver("Nobody"), subject)],
        "approval_is_refusal": [signed_at(client, LIN, subject, decision="refuse", reason="no")],
        "jws_malformed": ["approved by Lin Demo"],
        "bad_signature": [good[:-8] + ("A" * 8 if not good.endswith("A" * 8) else "B" * 8)],
    }
    for code, texts in others.items():
        for text in texts:
            assert refused(lambda text=text: post(client, body, text)) == code
    assert refused(lambda: post(client, body | {"validUntil": until}, good)) == (
        "approval_other_subject"
    )
    assert refused(lambda: post(client, body, good, good)) == "second_person_required"
    assert not client.get("/v1/documents", number="CN-2026-000001")["documents"]
    assert post(client, body, good)["number"] == "CN-2026-000001"
    assert post(client, body)["number"] == "CN-2026-000001"  # these bytes were issued already


def test_r26_two_persons_where_the_policy_says_so_and_never_one_twice(
    client: OperatorClient,
) -> None:
    body = body_of(registry.example(QUALITY))
    subject = subject_of_body(body)
    first, again, second = (
        signed_at(client, who, subject, reason=why)
        for who, why in ((LIN, ""), (LIN, "again"), (WU, ""))
    )
    with pytest.raises(ForbiddenError) as caught:
        post(client, body, first)
    assert (caught.value.code, caught.value.context["missing"]) == ("approval_missing", 1)
    assert refused(lambda: post(client, body, first, again)) == "second_person_required"
    assert post(client, body, first, second)["type"] == QUALITY


def test_r26_what_the_rules_doubt_needs_a_person_at_every_door(
    desk: Home, client: OperatorClient
) -> None:
    put_policy(desk, {})
    try:
        assert post(client, body_of(certificate(30)))["number"]  # left to the rules
        doubtful = body_of(certificate(31, **DOUBTFUL))
        assert refused(lambda: post(client, doubtful)) == "approval_missing"
        text = signed_at(client, LIN, subject_of_body(doubtful))
        assert post(client, doubtful, text)["number"] == "CN-2026-000031"
    finally:
        put_policy(desk, TYPES)


def test_r26_what_is_shown_in_part_is_approved_in_that_form(
    desk: Home, client: OperatorClient
) -> None:
    whole = body_of(certificate(35))
    parted = whole | {"form": "vc+sd-jwt"}
    text = signed_at(client, LIN, subject_of_body(whole))
    assert refused(lambda: post(client, parted, text)) == "approval_other_subject"
    text = signed_at(client, LIN, subject_of_body(parted))
    assert post(client, parted, text)["number"] == "CN-2026-000035"
    engine = create_engine(desk.store_url())
    with engine.connect() as conn:
        assert damages(conn, desk) == []
    engine.dispose()


def test_r26_an_approval_counts_once(client: OperatorClient) -> None:
    body = body_of(certificate(40))
    text = signed_at(client, LIN, subject_of_body(body))
    digest = post(client, body, text)["digest"]
    reason = "wrong weight"
    change = {"reason": reason, "approvals": [changed(client, LIN, "revoke", digest, 40, reason)]}
    client.post(f"/v1/documents/{digest}/revoke", change)
    with pytest.raises(ConflictError) as caught:
        post(client, body, text)
    assert caught.value.code == "approval_used"


def changed(
    client: OperatorClient, who: Any, act: str, digest: str, number: int, reason: str
) -> str:
    name = f"CN-2026-{number:06d}"
    subject = status_subject(act, bytes.fromhex(digest), COO, name, reason)
    return signed_at(client, who, subject)


def test_r26_revoking_suspending_and_reinstating_need_their_own_approvals(
    client: OperatorClient,
) -> None:
    body = body_of(certificate(50))
    digest = post(client, body, signed_at(client, LIN, subject_of_body(body)))["digest"]
    where, why = f"/v1/documents/{digest}", "under inquiry"

    def change(act: str, *approvals: str, reason: str = why) -> Any:
        return client.post(f"{where}/{act}", {"reason": reason, "approvals": list(approvals)})

    lin = changed(client, LIN, "suspend", digest, 50, why)
    assert refused(lambda: change("suspend")) == "approval_missing"
    assert refused(lambda: client.post(f"{where}/revoke", {"reason": why})) == "approval_missing"
    assert refused(lambda: change("revoke", lin)) == "approval_other_act"
    assert refused(lambda: change("suspend", lin, reason="other")) == "approval_other_subject"
    standing = client.get(where)["status"]
    assert not standing["suspended"]
    assert not standing["revoked"]
    assert change("suspend", lin)["status"]["suspended"]
    back = changed(client, LIN, "reinstate", digest, 50, why)
    assert refused(lambda: change("reinstate", back)) == "approval_missing"
    wu = changed(client, WU, "reinstate", digest, 50, why)
    assert not change("reinstate", back, wu)["status"]["suspended"]
    assert refused(lambda: change("suspend", lin)) == "approval_used"


def test_r26_an_approval_of_another_application_or_for_another_decision_does_not_count(
    client: OperatorClient,
) -> None:
    one, two = applied(client, certificate(60)), applied(client, certificate(61))
    assert (one["lane"], two["lane"]) == ("MANUAL", "MANUAL")
    text = signed_at(client, LIN, subject_at(client, one["application"]))
    where = f"/v1/review/applications/{two['application']}/decision"
    assert refused(lambda: client.post(where, {"approval": text})) == "approval_other_subject"
    unsigned = {"approval": "x", "by": "Lin Demo"}
    assert refused(lambda: client.post(where, unsigned)) == "member_unknown"
    decide(client, two["application"], LIN)
    document = issued_by(client, two["application"])["document"]
    assert client.get(f"/v1/documents/{document}")["number"] == "CN-2026-000061"
    assert client.get(f"/v1/review/applications/{one['application']}")["state"] == "manual"


def test_r26_the_command_line_signs_here_and_the_private_key_stays_here(
    desk: Home, client: OperatorClient, tmp_path: Path
) -> None:
    file, key, text = tmp_path / "coo.json", tmp_path / "mei.pem", tmp_path / "approval.jws"
    file.write_bytes(certificate(70))
    at = ("--home", desk.path)
    said = []

    def run(*words: object, **environment: str) -> Any:
        done = pratique(*words, **environment)
        said.append(done.stdout + done.stderr)
        return done

    made = run("review", "key", key)
    assert made.stdout.startswith("did:key:z")
    assert key.stat().st_mode & 0o777 == 0o600
    assert run("review", "key", key).returncode != 0  # never overwritten
    _let_in("Mei Demo", made.stdout.strip(), run, at, tmp_path)
    alone = run("issue", file, *at)
    assert alone.returncode != 0
    assert "approval" in alone.stderr
    assert run("review", "sign", file, "--key", key, "-o", text, *at).returncode == 0
    done = run("issue", file, "--approval", text, "--json", *at)
    assert done.returncode == 0, done.stderr
    digest = json.loads(done.stdout)["digest"]
    assert run("revoke", digest, "--reason", "typing error", *at).returncode != 0
    why = ("--reason", "typing error")
    run("review", "sign-change", "revoke", digest, *why, "--key", key, "-o", text, *at)
    revoked = run("revoke", digest, *why, "--approval", text, *at)
    assert revoked.returncode == 0, revoked.stderr

    applied(client, certificate(71))
    n = max(each["application"] for each in client.get("/v1/review/applications")["applications"])
    approved = run("review", "approve", n, "--key", key, *at)
    assert approved.returncode == 0, approved.stderr
    issued_by(client, n)
    assert "approve by Mei Demo" in run("review", "show", n, *at).stdout
    assert "Mei Demo" in run("review", "people", "list", *at).stdout
    assert run("review", "people", "end", "Mei Demo", *at).returncode == 0
    file.write_bytes(certificate(72))
    run("review", "sign", file, "--key", key, "-o", text, *at)
    assert "decides no more" in run("issue", file, "--approval", text, *at).stderr

    key.chmod(0o644)
    assert "chmod 600" in run("review", "sign", file, "--key", key, *at).stderr
    key.chmod(0o600)
    _nowhere(key, desk, said)


def _let_in(name: str, key: str, run: Callable[..., Any], at: Any, folder: Path) -> None:
    """By the signatures of Lin and Wu, each made with a key file of their own."""
    given: list[object] = []
    add = ("review", "people", "add", name, "--key", key, *at)
    assert "approv" in run(*add).stderr
    for who in (LIN, WU):
        file, text = folder / f"{who.name}.pem", folder / f"{who.name}.jws"
        file.write_bytes(private_pem(who))
        file.chmod(0o600)
        done = run("review", "people", "sign", name, key, "--key", file, "-o", text, *at)
        assert done.returncode == 0, done.stderr
        given += ["--approval", text]
    assert run(*add, *given[:2]).returncode != 0
    assert run(*add, *given).returncode == 0


def private_pem(who: Approver) -> bytes:
    return who.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _nowhere(key: Path, desk: Home, said: list[str]) -> None:
    """Neither the PEM nor the number of the private key is in the node's files or on a screen."""
    pem = key.read_bytes()
    private = serialization.load_pem_private_key(pem, None)
    number = private.private_numbers().private_value  # type: ignore[union-attr] # P-256
    raw = number.to_bytes(32, "big")
    forms = [raw, raw.hex().encode(), base64.urlsafe_b64encode(raw).rstrip(b"=")]
    forms += [base64.b64encode(raw)[:40], *pem.splitlines()[1:-1]]
    files = written(desk.path)
    assert any(each.name == "stderr.log" for each in files)
    for data in ("".join(said).encode(), *files.values()):
        assert not any(form in data for form in forms)


def test_a_key_under_a_passphrase_signs_only_with_it(tmp_path: Path) -> None:
    file = tmp_path / "own.pem"
    made = person_key.create(file, "four words of it")
    assert person_key.needs_passphrase(file)
    assert person_key.load(file, "four words of it").kid.startswith(f"{made}#")
    for wrong in ("", "four words"):
        with pytest.raises(TradeError) as caught:
            person_key.load(file, wrong)
        assert caught.value.code == "review_key_bad"


def test_r26_a_key_is_one_persons_and_a_machines_is_nobodys(
    desk: Home, client: OperatorClient
) -> None:
    def add(name: str, key: str) -> Any:
        return client.post("/v1/review/people", {"name": name, "key": key})

    assert refused(lambda: add("Zhao Demo", LIN.key)) == "reviewer_key_taken"
    assert refused(lambda: add("lin  demo", approver("L").key)) == "reviewer_known"
    own = KeyStore(desk.keys, did_of("cn-cert")).signer("credential").public()
    assert refused(lambda: add("Zhao Demo", did.key_did(own))) == "reviewer_key_taken"
    assert refused(lambda: add("Zhao Demo", "did:key:z6Mk")) == "reviewer_key_malformed"
    zhao = approver("Zhao Demo")
    admit(client, zhao, LIN, WU)
    client.request("DELETE", "/v1/review/people/Zhao%20Demo")
    assert refused(lambda: add(zhao.name, zhao.key)) == "reviewer_key_taken"  # ended for ever
    admit(client, approver("Zhao Demo", 2), LIN, WU)  # the person goes on under a new one
    client.request("DELETE", "/v1/review/people/Zhao%20Demo")


def test_r26_the_operators_token_alone_adds_nobody_where_two_persons_are_asked_for(
    client: OperatorClient,
) -> None:
    """Nor replaces a key: whoever holds the token would otherwise be the second person, too."""
    sock, other = approver("Sock Demo"), approver("Other Demo")
    subject = approval.person_subject(sock.name, sock.key)
    body = {"name": sock.name, "key": sock.key}

    def add(*texts: str) -> str:
        return refused(lambda: client.post("/v1/review/people", body | {"approvals": list(texts)}))

    lin, wu = (signed_at(client, who, subject) for who in (LIN, WU))
    assert add() == "approval_missing"
    assert add(lin) == "approval_missing"
    assert add(lin, lin) == "second_person_required"
    assert add(lin, signed_at(client, sock, subject)) == "approval_person_unknown"
    for wrong in (
        approval.person_subject(sock.name, other.key),
        approval.person_subject(other.name, sock.key),
    ):
        assert add(lin, signed_at(client, WU, wrong)) == "approval_other_subject"
    issue = replace(subject, act="issue")
    assert add(lin, signed_at(client, WU, issue)) == "approval_other_act"
    refusal = signed_at(client, WU, subject, decision="refuse", reason="nobody knows them")
    assert add(lin, refusal) == "approval_is_refusal"
    names = [each["name"] for each in client.get("/v1/review/people")["people"]]
    assert "Sock Demo" not in names
    admitted = client.post("/v1/review/people", body | {"approvals": [lin, wu]})
    assert admitted["active"]
    client.request("DELETE", "/v1/review/people/Sock%20Demo")
    # What let them in once lets nobody in again, not even after they were ended.
    again = {"name": sock.name, "key": approver("Sock Demo", 2).key, "approvals": [lin, wu]}
    assert refused(lambda: client.post("/v1/review/people", again)) == "approval_other_subject"


async def test_r26_inside_the_node_no_service_issues_or_revokes_without_approvals(
    tmp_path: Path,
) -> None:
    home = make_desk(tmp_path)
    async with running_node(home, services=SERVICES) as node:
        order = read_issue(body_of(certificate(80)))
        free = (await node.documents.issue(order)).document  # no policy of its own binds nobody
        put_policy(home, TYPES)
        other = read_issue(body_of(certificate(81)))
        with pytest.raises(ForbiddenError) as caught:
            await node.documents.issue(other)
        assert caught.value.code == "approval_missing"
        examined = issuing.examine(other, node)
        members = issuing.require_fresh(node)
        with pytest.raises(ForbiddenError):
            await node.store.write(issuing.issue, examined, node, members)
        with pytest.raises(ForbiddenError):
            await node.documents.revoke(free.digest, "because")
        change = Change(free.digest, "because")
        with pytest.raises(ForbiddenError):
            await node.store.write(revoking.revoke, node, node.documents.publisher(), change)
        held = await node.store.read(find, type=COO)
        assert [(each.number, each.revoked_at) for each in held] == [("CN-2026-000080", None)]


async def test_r26_a_policy_that_cannot_be_read_is_refused_and_never_none(tmp_path: Path) -> None:
    home = make_desk(tmp_path)
    file = home.path / "review-policy.json"
    async with running_node(home, services=SERVICES) as node:
        order = read_issue(body_of(certificate(90)))
        put_policy(home, TYPES, binding="no")
        broken = file.read_bytes()
        for bad in (b"{", b"", broken):
            file.write_bytes(bad)
            with pytest.raises(RefusedError) as caught:
                await node.documents.issue(order)
            assert caught.value.code == "review_policy_missing"
            assert node.review.ready()
        file.unlink()
        file.symlink_to(tmp_path / "nothing")
        with pytest.raises(RefusedError):
            await node.documents.issue(order)
        file.unlink()
        file.mkdir()
        with pytest.raises(RefusedError):
            await node.documents.issue(order)
        file.rmdir()
        put_policy(home, TYPES, binding=False)
        assert node.review.ready() is None
        assert (await node.documents.issue(order)).fresh


def test_r26_fsck_verifies_every_approval_again(tmp_path: Path) -> None:
    home = make_desk(tmp_path)
    put_policy(home, TYPES)
    with node_process(home), operator(home.path) as client:
        register(client, "Lin Demo", "Wu Demo")
        admit(client, approver("Mei Demo"), LIN, WU)
        body = body_of(certificate(1))
        post(client, body, signed_at(client, LIN, subject_of_body(body)))
        n = applied(client, certificate(2))["application"]
        decide(client, n, WU)
        issued_by(client, n)
    engine = create_engine(home.store_url())
    with engine.connect() as conn:
        assert damages(conn, home) == []
        for change in DAMAGES:
            assert conn.exec_driver_sql(change).rowcount, change
            assert damages(conn, home), change
            conn.rollback()
        assert damages(conn, home) == []
    engine.dispose()


_WU = "(select signed from review_approvals where person='Wu Demo')"
_DOCUMENT = "(select digest from documents where n={})"
DAMAGES = (
    "update review_approvals set person='Wu Demo' where person='Lin Demo'",
    f"update review_approvals set signed={_WU} where person='Lin Demo'",
    "update review_approvals set act='revoke' where person='Lin Demo'",
    "delete from review_approvals where person='Lin Demo'",
    "update review_applications set decisions=replace(decisions, 'Wu Demo', 'Lin Demo')",
    "update review_applications set payload_digest=zeroblob(32)",
    "update events set detail=replace(detail, 'Mei', 'May') where kind='reviewer-added'",
    f"update events set document={_DOCUMENT.format(2)} where document={_DOCUMENT.format(1)}",
)


def damages(conn: Connection, home: Home) -> list[str]:
    """What FSCK-22 finds."""
    context = Context(home, KeyStore(home.keys, did_of("cn-cert")))
    found = examine(conn, context, "FSCK-22")
    assert found.examined
    return found.damages


def test_r26_a_refusal_has_a_reason(client: OperatorClient) -> None:
    n = applied(client, certificate(95))["application"]
    with pytest.raises(MalformedError):
        decide(client, n, LIN, decision="refuse")
    assert decide(client, n, LIN, decision="refuse", reason="no seal")["state"] == "refused"
