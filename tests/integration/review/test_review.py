"""Applications reviewed by rules before a person signs; a batch killed on the way goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.operator import operator
from protocols import review
from protocols.member_list import IssuerEntry
from schemas import registry
from schemas.errors import ConflictError, ForbiddenError, MalformedError, NotFoundError
from tests.support.network import Member, did_of, make_network
from tests.support.process import command, node_process, pratique, wait_until_up

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node.home import Home
    from node.keystore import KeyStore
    from node.operator import OperatorClient
    from protocols.member_list import MemberListDraft

COO, QUALITY = "certificate-of-origin", "quality-certificate"
MANY = "/v1/review/applications"


@pytest.fixture
def desk(tmp_path: Path) -> Home:
    """The home of a certification desk in a network of its own."""

    def change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        entries = [IssuerEntry(did_of("cn-cert"), key, "CN", start) for key in (COO, QUALITY)]
        return replace(draft, issuers=tuple(entries))

    members = {"cn-cert": Member(roles=("issuer",))}
    return make_network(tmp_path, members, change=change).homes["cn-cert"]


def certificate(number: int, **more: Any) -> bytes:
    document = json.loads(registry.example(COO))
    document |= {"number": f"CN-2026-{number:06d}"}
    for name in ("consignment", "balance"):
        document.pop(name, None)
    document |= more
    return json.dumps(document, separators=(",", ":")).encode()


def applied(client: OperatorClient, payload: bytes, **more: str) -> dict[str, Any]:
    import base64

    body = {"payload": base64.b64encode(payload).decode(), **more}
    kept = client.post(MANY, body)
    for _ in range(200):
        kept = client.get(f"{MANY}/{kept['application']}")
        if kept["state"] != "received":
            return dict(kept)
        time.sleep(0.05)
    raise AssertionError(kept)


def issued_by(client: OperatorClient, n: int) -> dict[str, Any]:
    for _ in range(200):
        kept = client.get(f"{MANY}/{n}")
        if kept["state"] == "issued":
            return dict(kept)
        time.sleep(0.05)
    raise AssertionError(kept)


def test_the_rules_choose_the_lane_and_a_second_person_is_another_one(desk: Home) -> None:
    own = json.loads(review.packaged())
    two = own["editions"][0]["types"]["aeo-status"]
    own["editions"][0]["types"][QUALITY] = two
    (desk.path / "review-policy.json").write_text(json.dumps(own))
    with node_process(desk), operator(desk.path) as client:
        secrets = {
            name: client.post("/v1/review/people", {"name": name})["secret"]
            for name in ("Lin Demo", "Wu Demo")
        }

        def decide(n: int, who: str, decision: str = "approve", **more: str) -> Any:
            body = {"decision": decision, "by": who, "secret": secrets[who], **more}
            return client.post(f"{MANY}/{n}/decision", body)

        clean = applied(client, certificate(1))
        assert (clean["lane"], clean["state"], clean["findings"]) == ("AUTO", "ready", [])
        guessed = {"decision": "approve", "by": "Lin Demo", "secret": "guessed"}
        with pytest.raises(ForbiddenError) as caught:
            client.post(f"{MANY}/{clean['application']}/decision", guessed)
        assert caught.value.code == "reviewer_not_shown"
        decide(clean["application"], "Lin Demo")
        document = issued_by(client, clean["application"])["document"]
        assert client.get(f"/v1/documents/{document}")["number"] == "CN-2026-000001"

        wrong = applied(client, certificate(2, totals={"packages": 3}))
        assert (wrong["lane"], wrong["state"]) == ("HOLD", "hold")
        assert [each["pointer"] for each in wrong["findings"]] == ["/totals/packages"]
        with pytest.raises(ForbiddenError) as held:
            decide(wrong["application"], "Lin Demo")
        assert held.value.code == "application_on_hold"
        again = applied(client, certificate(1, remarks="Other bytes under one number"))
        assert "REV-002" in [each["rule"] for each in again["findings"]]
        alien = applied(client, registry.example("inspection-certificate"))
        assert "REV-003" in [each["rule"] for each in alien["findings"]]
        unread = applied(client, b"{")
        assert (unread["lane"], unread["findings"][0]["rule"]) == ("HOLD", "REV-005")

        container = {"containers": [{"number": "NHLU2631076"}]}  # a warning: the check digit
        warned = applied(client, certificate(3, **container))
        assert warned["lane"] == "MANUAL"
        with pytest.raises(MalformedError):
            decide(warned["application"], "Wu Demo", "refuse")
        refused = decide(warned["application"], "Wu Demo", "refuse", reason="no such container")
        assert refused["state"] == "refused"
        with pytest.raises(ConflictError):
            decide(warned["application"], "Lin Demo")

        both = applied(client, registry.example(QUALITY))
        assert (both["lane"], both["secondPerson"]) == ("MANUAL", True), both["findings"]
        n = both["application"]
        assert decide(n, "Lin Demo")["state"] == "manual"
        with pytest.raises(ForbiddenError) as same:
            decide(n, "Lin Demo")
        assert same.value.code == "second_person_required"
        decide(n, "Wu Demo")
        assert issued_by(client, n)["document"]

        shown = pratique("review", "show", n, "--home", desk.path)
        assert "approve by Lin Demo" in shown.stdout
        listed = pratique("review", "list", "--state", "hold", "--home", desk.path, "--json")
        assert len(json.loads(listed.stdout)["applications"]) == 4


@pytest.mark.parametrize(
    ("count", "kills"),
    [(150, 1), pytest.param(10_000, 4, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_batch_is_reviewed_whole_resumes_after_kills_and_issues_none_twice(
    desk: Home, tmp_path: Path, count: int, kills: int
) -> None:
    file = tmp_path / "applications.jsonl"
    # Every fiftieth is wrong, every fortieth wants a look.
    payloads = [
        certificate(
            n,
            **({"totals": {"packages": 3}} if n % 50 == 7 else {}),
            **({"containers": [{"number": "NHLU2631076"}]} if n % 40 == 11 else {}),
        )
        for n in range(count)
    ]
    file.write_bytes(b"\n".join(payloads))
    words = ("issue-batch", file, "--name", "october", "--by", "Lin Demo", "--home", desk.path)
    secret = ""
    for kill in range(kills):
        with node_process(desk) as process:
            if not secret:
                with operator(desk.path) as client:
                    secret = client.post("/v1/review/people", {"name": "Lin Demo"})["secret"]
            asked = subprocess.Popen(
                command(*words),
                env={**os.environ, "PRATIQUE_REVIEWER_SECRET": secret},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _until(desk, (kill + 1) * count // (kills + 2))
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert asked.wait(60) != 0  # the node is gone in the midst of it
    with node_process(desk) as process:
        wait_until_up(desk, process)
        done = pratique(*words, "--json", deadline=900, PRATIQUE_REVIEWER_SECRET=secret)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        held = sum(1 for n in range(count) if n % 50 == 7)
        manual = sum(1 for n in range(count) if n % 40 == 11 and n % 50 != 7)
        assert told["reviewed"] == told["submitted"] == told["total"] == count
        assert told["lanes"] == {"AUTO": count - held - manual, "MANUAL": manual, "HOLD": held}
        assert told["states"]["issued"] == count - held - manual
        assert "reviewed" in done.stderr
    with closing(sqlite3.connect(desk.database)) as store:
        numbers = [row[0] for row in store.execute("select number from documents")]
        assert len(numbers) == len(set(numbers)) == count - held - manual
        wrong = "select count(*) from review_applications where state='issued' and document is null"
        assert store.execute(wrong).fetchone() == (0,)


def _until(desk: Home, issued: int) -> None:
    """Wait until so many of the batch are issued: the kill comes in the midst of it."""
    with operator(desk.path) as client:
        for _ in range(6_000):
            with suppress(NotFoundError):  # the command has not opened it yet
                if client.get("/v1/review/batches/october")["states"]["issued"] >= issued:
                    return
            time.sleep(0.02)
    raise AssertionError("the batch does not go on")
