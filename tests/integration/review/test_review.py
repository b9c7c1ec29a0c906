"""Applications reviewed by rules before a person signs; a batch killed on the way goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from node.operator import operator
from protocols import review
from schemas import registry
from schemas.errors import ConflictError, ForbiddenError, MalformedError
from tests.support.approvers import register
from tests.support.desk import (
    QUALITY,
    applied,
    certificate,
    decide,
    issued_by,
    make_desk,
)
from tests.support.process import ROOT, command, node_process, pratique, wait_until_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.home import Home


#: The whole node, which dies in the midst of issuing the batch: after so many of its documents. It
#: issues none before the command has come: without a node the command would do it all itself.
MORTAL = """
import os, signal, sys
from pathlib import Path
from node.daemon import serve
from node.review import rows
from node.review.service import ReviewService

issue_some, open_batch = ReviewService._issue_some, ReviewService.open_batch
set_issued, left, opened = rows.set_issued, int(sys.argv[2]), False

async def issue_when_opened(self):
    return await issue_some(self) if opened else 0

async def opening(self, *words):
    global opened
    opened = True
    await open_batch(self, *words)

def mortal(conn, n, document):
    global left
    set_issued(conn, n, document)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

rows.set_issued = mortal
ReviewService._issue_some, ReviewService.open_batch = issue_when_opened, opening
serve(Path(sys.argv[1]))
"""


@contextmanager
def mortal(home: Home, issued: int) -> Iterator[subprocess.Popen[bytes]]:
    with (home.path / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", MORTAL, str(home.path), str(issued)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=log,
        )
    try:
        wait_until_up(home, process)
        yield process
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture
def desk(tmp_path: Path) -> Home:
    """The home of a certification desk in a network of its own."""
    return make_desk(tmp_path)


def test_the_rules_choose_the_lane_and_a_second_person_is_another_one(desk: Home) -> None:
    own = json.loads(review.packaged())
    two = own["editions"][0]["types"]["aeo-status"]
    own["editions"][0]["types"][QUALITY] = two
    (desk.path / "review-policy.json").write_text(json.dumps(own))
    with node_process(desk), operator(desk.path) as client:
        lin, wu = register(client, "Lin Demo", "Wu Demo")

        clean = applied(client, certificate(1))
        assert (clean["lane"], clean["state"], clean["findings"]) == ("AUTO", "ready", [])
        decide(client, clean["application"], lin)
        document = issued_by(client, clean["application"])["document"]
        assert client.get(f"/v1/documents/{document}")["number"] == "CN-2026-000001"

        wrong = applied(client, certificate(2, totals={"packages": 3}))
        assert (wrong["lane"], wrong["state"]) == ("HOLD", "hold")
        assert [each["pointer"] for each in wrong["findings"]] == ["/totals/packages"]
        with pytest.raises(ForbiddenError) as held:
            decide(client, wrong["application"], lin)
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
            decide(client, warned["application"], wu, decision="refuse")
        reason = "no such container"
        refused = decide(client, warned["application"], wu, decision="refuse", reason=reason)
        assert refused["state"] == "refused"
        with pytest.raises(ConflictError):
            decide(client, warned["application"], lin)

        both = applied(client, registry.example(QUALITY))
        assert (both["lane"], both["secondPerson"]) == ("MANUAL", True), both["findings"]
        n = both["application"]
        assert decide(client, n, lin)["state"] == "manual"
        with pytest.raises(ForbiddenError) as same:
            decide(client, n, lin)
        assert same.value.code == "second_person_required"
        decide(client, n, wu)
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
    key = tmp_path / "lin.pem"
    words = ("issue-batch", file, "--name", "october", "--key", key, "--home", desk.path)
    own = json.loads(pratique("review", "key", key, "--json").stdout)["key"]
    for kill in range(kills):
        with mortal(desk, count // (kills + 2)) as process:
            if not kill:
                with operator(desk.path) as client:
                    client.post("/v1/review/people", {"name": "Lin Demo", "key": own})
            asked = subprocess.Popen(
                command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            assert process.wait(240) == -signal.SIGKILL
            assert asked.wait(120) != 0  # the node is gone in the midst of it
    with node_process(desk) as process:
        wait_until_up(desk, process)
        done = pratique(*words, "--json", deadline=900)
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
