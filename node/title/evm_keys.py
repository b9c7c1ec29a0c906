"""Keys of titles on chains at this node: seeds, derived signers, and who stands behind addresses.

A party hosted here, and the node itself, has one seed in `keys/titles/`, made at its first use; the
key of each title follows from it, so a backup of the keys is a backup of all titles. Only a node
that holds a party's listed title key makes and uses its keys (R20).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import orjson

from node.home import write_private
from node.title import partners
from node.title.following import host_of
from node.title.making import recipient, signer_for
from protocols.digest import sha256
from protocols.evm.holder_keys import (
    MAX_TEXT,
    SEED_BYTES,
    HolderKey,
    address_of,
    carrier_signer,
    read_statement,
    sign_statement,
    title_signer,
)
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import ForbiddenError, RefusedError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from node.home import Home
    from node.runtime import Node
    from protocols.evm.keys import SoftwareEvmSigner
    from protocols.keys import SoftwareSigner
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import Party

PATH = "/title-keys/1"
CALL_SECONDS = 5.0


def seed_of(node: Node, did: str) -> bytes:
    """The seed of a party hosted here, or of the node itself; made at its first use."""
    return seed_in(node.home, did)


def seed_in(home: Home, did: str) -> bytes:
    """The same from the home, whether its node runs or not."""
    folder = home.keys / "titles"
    file = folder / f"{sha256(did.encode()).hex()[:32]}.seed"
    line = f"did: {did}\n".encode()
    if not file.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(file, line + secrets.token_bytes(SEED_BYTES).hex().encode())
    data = file.read_bytes()
    if not data.startswith(line):
        raise SettingsError("key_file_bad", f"{file.name} is another party's")
    try:
        seed = bytes.fromhex(data[len(line) :].decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise SettingsError("key_file_bad", f"{file.name} holds no seed")
    return seed


def listed_signer(node: Node, did: str) -> SoftwareSigner:
    """The listed title key of a party, if it is here; raises ForbiddenError
    `title_key_not_held`, RefusedError `title_recipient_not_listed`."""
    return signer_for(node, recipient(partners.members_of(node), did, node.clock.now()))


def holder(node: Node, did: str, title: bytes) -> SoftwareEvmSigner:
    """The key of a party hosted here for that title (R20)."""
    listed_signer(node, did)
    return title_signer(seed_of(node, did), title)


def carrier(node: Node) -> SoftwareEvmSigner:
    """The key with which this node issues; the arbiter's governors list it."""
    listed_signer(node, node.did)
    return carrier_signer(seed_of(node, node.did))


def signer_of(node: Node, party: Party, title: bytes) -> SoftwareEvmSigner:
    """The key behind a party of a title's state, if it is one of ours.

    Raises ForbiddenError `title_key_not_held`.
    """
    if not party.did.startswith("did:web:"):
        # A bare account: whose it is was never told here, so it is nobody's that is hosted here.
        raise ForbiddenError("title_key_not_held", f"the key of {party.did} is not here")
    made = holder(node, party.did, title)
    if made.address != address_of(party):
        raise ForbiddenError("title_key_not_held", f"the key of {party.did} is not here")
    return made


def state_holder(
    node: Node, entry: ArbiterEntry, did: str, title: bytes | None
) -> tuple[HolderKey, str]:
    """The statement of a party hosted here about its key for a title; None: as a carrier."""
    key = carrier(node) if title is None else holder(node, did, title)
    network = partners.members_of(node).network
    statement = HolderKey(network, entry.arbiter, did, key.address, title)
    return statement, sign_statement(statement, listed_signer(node, did), key)


async def ask_holder(
    node: Node, entry: ArbiterEntry, did: str, title: bytes
) -> tuple[HolderKey, str]:
    """The statement of any listed party: made here, or asked from the node that hosts it.

    Raises RefusedError `title_recipient_not_listed`, UnavailableError
    `title_recipient_unreachable`.
    """
    members = partners.members_of(node)
    # Listed at all? Else nobody is asked.
    recipient(members, did, node.clock.now())
    host = host_of(members, did)
    if host == node.did:
        return state_holder(node, entry, did, title)
    body = orjson.dumps({"arbiter": entry.id.hex(), "party": did, "title": title.hex()})
    headers = {"Content-Type": "application/json"}
    try:
        answer = await node.client.call(
            host or did, "POST", PATH, body, headers=headers, deadline=CALL_SECONDS
        )
    except UnavailableError as error:
        raise UnavailableError("title_recipient_unreachable", error.detail) from error
    if answer.status >= 500 or answer.status in (401, 408, 429):
        raise UnavailableError("title_recipient_unreachable", f"{host} answered {answer.status}")
    if answer.status != 200:
        raise RefusedError("title_recipient_not_listed", f"{host} has no key for {did}")
    fields = Fields(strict_json.loads_object(answer.body), "title_key_statement_malformed")
    text = fields.text("key", max_length=MAX_TEXT)
    found = read_statement(text, entry.arbiter, members)
    if (found.did, found.title) != (did, title):
        raise RefusedError("title_key_mismatch", "the statement is about another key")
    return found, text
