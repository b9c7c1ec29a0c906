"""Bills that no registry guards: only the platforms' word stands against a second transfer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from node.pint import rows
from node.pint.beginning import open_chain
from node.pint.building import Opening, Parties, carrier_party
from protocols import jws
from protocols.pint.chain import issuance_manifest
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from protocols.title.operation import ISSUANCE_TYP
from schemas import strict_json
from testnet.story.documents import build, load_story
from tests.integration.pint.sending_network import CARRIER, did_of, running
from tests.integration.pint.test_sending_commands import ebl, ebl_json
from tests.support import pint_world

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def begun(node: Node, registry: str | None = None) -> bytes:
    """A bill without a title issued at the carrier's own platform; its checksum.

    registry: base URI of the register of records that guards it; the carrier signs then by its
    certificate, since its title key would say that the bill has a title here
    """
    story = build(load_story(), "A", "bill-of-lading", datetime.now(UTC))
    document: dict[str, Any] = orjson.loads(story.payload)
    document["transportDocumentReference"] = "NHLFREE"
    manifest = issuance_manifest(document, {"partyName": "exp-a"})
    issuance = manifest.sign(pint_world.CertifiedSigner())
    if registry is None:
        payload = strict_json.canonical(manifest.to_json())
        issuance = jws.sign(payload, typ=ISSUANCE_TYP, signer=node.keys.signer("title"))
    members = node.members.current
    carrier = carrier_party(members, node.did, "NHLX", document)
    parties = Parties(members, document, carrier=carrier)
    issue = Transaction(Action.ISSUE, carrier, node.clock.now(), parties.of(did_of("exp-a")))
    opening = Opening(issuance, registry)
    bill = await node.store.write(open_chain, node, document, (issue,), opening)
    return bytes(bill.document)


async def test_a_bill_without_a_registry_moves_on_the_receipt_alone(tmp_path: Path) -> None:
    async with running(tmp_path, pint={"registry_required": False}) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        checksum = await begun(nhl)
        told = ("--at", "MDPX", "--name", "Harbourlight Bank", "--code", did_of("bank"))
        sent = await ebl_json(nhl, "transfer", "NHLFREE", *told)
        assert [(one["outcome"], one["responseCode"]) for one in sent["moves"]] == [
            ("final", "RECE")
        ]
        assert (await nhl.store.read(rows.bill, checksum)).status == rows.SENT
        assert (await maas.store.read(rows.bill, checksum)).status == rows.HERE
        shown = await ebl_json(maas, "show", "NHLFREE")
        assert (shown["guarantee"], shown["proof"]) == ("platforms", None)
        assert "by the platforms' word alone" in (await ebl(maas, "show", "NHLFREE")).stdout
        given = await ebl_json(maas, "surrender", "NHLFREE")
        assert given["moves"][0]["platform"] == "NHLX"
        held = await nhl.store.read(rows.bill, checksum)
        assert (held.status, held.title, held.registry) == (rows.SURRENDERED, None, None)
        again = await ebl(maas, "transfer", "NHLFREE", "--to", did_of("imp-a"))
        assert "title_surrendered" in repr(again.exception)
