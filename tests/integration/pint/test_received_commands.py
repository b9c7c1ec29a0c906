"""`pratique ebl received`, `accounts` and `account` against a running platform."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from node.cli.main import build
from protocols.digest import sha256
from protocols.pint.words import Action
from tests.integration.pint.receiving_world import Sender, bill, moved, platform
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


async def ebl(sender: Sender, command: str, *arguments: str) -> Result:
    whole = ["ebl", command, "--home", str(sender.node.home.path), *arguments]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "220"}).invoke, build(whole), whole)


async def in_json(sender: Sender, command: str, *arguments: str) -> Any:
    result = await ebl(sender, command, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_received_bills_are_listed_and_shown_with_what_guards_them(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        assert (await sender.post(w.pack(document, moved(document)))).word == "RECE"
        (one,) = (await in_json(sender, "received"))["bills"]
        assert (one["transportDocumentReference"], one["status"]) == ("TDR-1", "here")
        assert one["document"] == w.checksum_of(document).hex()
        assert (await in_json(sender, "received", "--status", "ended"))["bills"] == []
        whole = await in_json(sender, "received", one["document"])
        assert whole["transportDocument"] == document
        assert [told["actionCode"] for told in whole["transactions"]] == ["ISSUE", "TRANSFER"]
        assert whole["guarantee"] == "platforms"
        shown = (await ebl(sender, "received", one["document"])).stdout
        assert "no registry guards this bill" in shown
        assert "pint_registry_absent" in shown
        assert "TDR-1" in (await ebl(sender, "received")).stdout
        missing = await ebl(sender, "received", "00" * 32)
        assert missing.exit_code != 0


async def test_transfers_under_way_are_listed_until_they_end(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        envelope = w.pack(document, moved(document), supporting=[w.document_of(b"%PDF")])
        reference = (await sender.post(envelope)).json["envelopeReference"]
        (one,) = (await in_json(sender, "incoming"))["transfers"]
        assert (one["envelopeReference"], one["from"], one["state"]) == (
            reference,
            "HOME",
            "active",
        )
        assert reference in (await ebl(sender, "incoming")).stdout
        await sender.put(reference, sha256(b"%PDF"), b"%PDF")
        assert (await sender.finish(reference)).word == "RECE"
        assert (await in_json(sender, "incoming"))["transfers"] == []
        key, checksum = w.checksum_of(document).hex(), sha256(b"%PDF").hex()
        (came,) = (await in_json(sender, "received", key))["additionalDocuments"]
        assert (came["documentChecksum"], came["from"]) == (checksum, "HOME")
        out = tmp_path / "came.pdf"
        saved = await ebl(sender, "received", key, "--save", checksum, "--out", str(out))
        assert saved.exit_code == 0
        assert out.read_bytes() == b"%PDF"
        lost = await ebl(sender, "received", key, "--save", "00" * 32, "--out", str(out))
        assert lost.exit_code != 0


async def test_an_account_is_opened_used_and_closed_by_command(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        code = "529900T8BM49AURSDO55"
        opened = ("Trader Y", code, "--provider", "GLEIF", "--list", "LEI")
        assert (await ebl(sender, "account", *opened)).exit_code == 0
        trader = w.TransactionParty("Y", "AWAY", (w.IdentifyingCode("GLEIF", code, "LEI"),))
        document = bill()
        deed = w.act(Action.TRANSFER, w.SHIPPER, trader, minute=1)
        texts = w.chain_of(w.first(document, w.ISSUE, deed, registry=None))
        assert (await sender.post(w.pack(document, texts))).word == "RECE"
        assert (await ebl(sender, "account", *opened, "--close")).exit_code == 0
        (kept,) = (await in_json(sender, "accounts"))["accounts"]
        assert (kept["code"], kept["active"]) == (code, False)
        assert "Trader Y" in (await ebl(sender, "accounts")).stdout
        assert (await sender.validate("GLEIF", code)).status == 404
