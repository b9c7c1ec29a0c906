"""A title leaves its node as one file, which proves it when every node is gone."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.keystore import KeyStore
from node.title import exit_file
from node.title.making import IssueOrder, Order
from node.trust.founding import founding_file
from node.verification import offline
from protocols.member_list import write_export
from protocols.pint.words import Action
from protocols.title.machine import Kind
from schemas import laws, strict_json
from schemas.errors import TradeError
from tests.integration.pint import sending_network as net
from tests.support.network import running_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from click.testing import Result

    from node.runtime import Node


async def command(node: Node | None, *arguments: str) -> Result:
    home = () if node is None else ("--home", str(node.home.path))
    whole = ["title", arguments[0], *home, *arguments[1:]]
    runner = CliRunner(env={"COLUMNS": "300"})
    return await asyncio.to_thread(runner.invoke, build(whole), whole)


async def made(folder: Path, nodes: dict[str, Node]) -> tuple[Node, bytes]:
    """A bill that went to the bank's platform by PINT and was endorsed there to the buyer."""
    nhl, rotterdam = nodes["nhl"], nodes["nl-port"]
    title = await net.titled(nhl)
    sent = await net.move(nhl, title, Action.TRANSFER, "bank")
    assert sent["state"] == "received", sent
    order = Order(Kind.ENDORSE_TO_ORDER, to=net.did_of("imp-a"), by=net.did_of("bank"))
    await rotterdam.title.operate(title, order)
    return rotterdam, title


async def test_a_title_is_proven_by_its_exit_file_alone(tmp_path: Path) -> None:
    file, trust, key = (tmp_path / name for name in ("exit.json", "members.json", "bank.pem"))
    network = net.made(tmp_path)
    async with running_network(network) as nodes:
        node, title = await made(tmp_path, nodes)
        trust.write_bytes(founding_file(node.home).read_bytes())
        ref = (await node.title.show(title))["reference"]
        asked = await command(
            node, "exit", ref, "-o", str(file), "--json",
            "--key-of", net.did_of("bank"), "--key-out", str(key),
        )  # fmt: skip
        told = json.loads(asked.stdout)
        assert told["file"] == str(file)
        report = await command(node, "reliability-report", title.hex(), "--json")
        answers_every_line(json.loads(report.stdout))
        table = await command(node, "reliability-report", title.hex())
        assert "s.2(2)(c)" in table.stdout
        assert "CN-MC-2025: cited by chapter and section" in table.stdout
        stranger = await command(
            node, "exit", ref, "-o", str(file), "--key-of", net.did_of("exp-a"),
            "--key-out", str(tmp_path / "no.pem"),
        )  # fmt: skip
        assert isinstance(stranger.exception, TradeError)
        assert stranger.exception.code == "title_key_not_held"
        nobody = await command(node, "exit", "UNKNOWN", "-o", str(file))
        assert isinstance(nobody.exception, TradeError)
    # Nothing runs any more.
    verified = await command(None, "verify-exit", str(file), "--trust", str(trust), "--json")
    body = json.loads(verified.stdout)
    assert (body["verdict"], verified.exit_code) == ("PASSED", 0), body
    control = next(one["evidence"] for one in body["checks"] if one["id"] == "EXIT-08")
    assert (control["possessor"], control["titleholder"]) == (
        net.did_of("bank"), net.did_of("imp-a"),
    )  # fmt: skip
    holder = next(iter(KeyStore(folder_of(key), net.did_of("bank")).parties().values()))
    assert holder.public().thumbprint() == control["key"]
    every_change_is_found(file.read_bytes(), offline.read_versions(trust, datetime.now(UTC)))


def folder_of(key: Path) -> Path:
    """A key store that holds the key as it was handed over."""
    assert key.stat().st_mode & 0o077 == 0
    parties = key.parent / "handed" / "parties"
    parties.mkdir(parents=True)
    (parties / "bank.pem").write_bytes(key.read_bytes())
    return parties.parent


def answers_every_line(report: dict[str, Any]) -> None:
    assert report["governingLaw"] == laws.DEFAULT or report["governingLaw"] in laws.laws()
    assert {one["law"] for one in report["lines"]} == set(laws.laws())
    answers = {(one["law"], one["clause"]): one for one in report["lines"]}
    assert all(one["answer"] in {"met", "not shown"} for one in answers.values())
    for clause in ("s.2(2)(a)", "s.2(2)(b)", "s.2(2)(c)", "s.2(2)(d)", "s.2(2)(e)"):
        line = answers["GB-ETDA-2023", clause]
        assert line["answer"] == "met"
        assert line["tests"]
    # What no file can show is a line all the same.
    for named in (
        ("GB-ETDA-2023", "s.4"),
        ("GB-ETDA-2023", "s.2(5)(d)"),
        ("GB-ETDA-2023", "s.2(5)(f)"),
        ("MLETR", "art. 12(a)(iv)"),
        ("MLETR", "art. 12(a)(vi)"),
    ):
        assert answers[named]["answer"] == "not shown"
    assert len(answers) == len(report["lines"])
    assert answers["MLETR", "art. 15"]["evidence"]["endorsements"] == ["ENDORSE_TO_ORDER"]
    exclusive = answers["GB-ETDA-2023", "s.2(2)(c)"]["evidence"]
    assert 2 * exclusive["quorum"] > len(exclusive["witnesses"]) > 0


def every_change_is_found(data: bytes, versions: Sequence[Any]) -> None:
    whole = orjson.loads(data)
    news, chain = whole["title"], whole["chain"]

    def other(**changes: Any) -> bytes:
        return strict_json.canonical(whole | changes)

    document = base64.b64encode(b'{"transportDocumentReference":"X"}').decode()
    broken = {
        "EXIT-01": other(network="00" * 32),
        "EXIT-03": other(title=news | {"history": news["history"][:-1]}),
        "EXIT-05": other(document=document),
        "EXIT-07": other(chain=[chain[0], chain[0]]),
    }
    state = news["proof"]["state"]
    forged = news | {"proof": news["proof"] | {"state": state | {"holder": state["possessor"]}}}
    assert _first_failure(other(title=forged), versions) == "EXIT-03"
    for step, changed in broken.items():
        assert _first_failure(changed, versions) == step
    with pytest.raises(TradeError, match="title_exit_malformed"):
        exit_file.verify(b"{}", versions)
    unreadable = other(lists=base64.b64encode(write_export([])).decode())
    assert _first_failure(unreadable, versions) == "EXIT-02"


def _first_failure(data: bytes, versions: Sequence[Any]) -> str:
    report = exit_file.verify(data, versions)
    failed = [one.id for one in report.checks if one.outcome.value == "FAILED"]
    return failed[0] if failed else ""


async def test_r20_a_law_that_is_not_accepted_is_refused_and_the_bill_is_free_at_once(
    tmp_path: Path,
) -> None:
    network = net.made(tmp_path)
    home = network.homes["nl-port"]
    text = home.settings_file.read_text()
    changed = text.replace("[title]\n", '[title]\nlaws = ["GB-ETDA-2023"]\n')
    assert changed != text
    home.settings_file.write_text(changed)
    async with running_network(network) as nodes:
        nhl = nodes["nhl"]
        document = await net.bill(nhl)
        holder = net.did_of("exp-a")
        with pytest.raises(TradeError, match="title_law_unlisted"):
            await nhl.title.issue(IssueOrder(document, holder, None, law="XX-NOTHING"))
        issued = await nhl.title.issue(
            IssueOrder(document, holder, net.did_of("bank"), law="SG-ETA-2021")
        )
        title = bytes.fromhex(issued["title"])
        sent = await net.move(nhl, title, Action.TRANSFER, "bank")
        # The recipient's platform declines what it can never receive: nobody waits for the offer.
        assert (sent["outcome"], sent["state"]) == ("refused", "refused"), sent
        assert sent["code"] == "pint_refused_signed"
        assert await net.possessor(nhl, title) == holder
        assert Kind.DECLINE_OFFER in await kinds_of(nhl, title)
        elsewhere = await net.move(nhl, title, Action.TRANSFER, "financier-2")
        assert elsewhere["state"] == "received", elsewhere


async def kinds_of(node: Node, title: bytes) -> list[Kind]:
    return [Kind(one["kind"]) for one in (await node.title.show(title))["history"]]
