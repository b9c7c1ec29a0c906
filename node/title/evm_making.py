"""Making operations for titles on a chain: keys for the title, statements, EIP-712 (R19, R20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.title import evm_keys, making, partners
from node.title.making import Issue, IssueOrder, Order
from protocols import times
from protocols.digest import sha256
from protocols.evm.holder_keys import address_of
from protocols.evm.title import EvmOperation, sign_operation
from protocols.evm.title_text import to_text
from protocols.title.machine import Kind
from protocols.title.operation import (
    IssuanceManifest,
    sign_manifest,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.evm.holder_keys import HolderKey
    from protocols.evm.keys import EvmSigner
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import Bill, TitleState

Statements = tuple[tuple["HolderKey", str], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an issuance needs from the store."""

    manifest: IssuanceManifest
    bill: Bill


def prepare(conn: Connection, node: Node, entry: ArbiterEntry, order: IssueOrder) -> Prepared:
    """The manifest for an own bill; reads the store, writes nothing. Raises as
    `making.prepare_issue`."""
    document, bill = making.bill_of(conn, order)
    making.require_untitled(conn, order.document)
    making.recipient(partners.members_of(node), order.holder, node.clock.now())
    manifest = making.manifest_of(node, order, entry.id, document)
    return Prepared(manifest, bill)


async def issue(
    node: Node, entry: ArbiterEntry, order: IssueOrder, prepared: Prepared
) -> tuple[Issue, Statements]:
    """The signed ISSUE and the statements that name its parties.

    Raises ForbiddenError `title_key_not_held`, RefusedError `title_recipient_not_listed`,
    UnavailableError `title_recipient_unreachable`.
    """
    manifest = prepared.manifest
    title = manifest.title()
    carrier, said = evm_keys.carrier(node), evm_keys.state_holder(node, entry, node.did, None)
    holder = await evm_keys.ask_holder(node, entry, order.holder, title)
    statements = [said, holder]
    endorsee = None
    if order.endorsee is not None:
        named = await evm_keys.ask_holder(node, entry, order.endorsee, title)
        endorsee = named[0].address
        statements.append(named)
    operation = EvmOperation(
        title=title,
        seq=0,
        kind=Kind.ISSUE,
        sender=carrier.address,
        recipient=holder[0].address,
        entry=sha256(manifest.to_bytes()),
        deadline=_deadline(node),
        bill=prepared.bill,
        holder=endorsee,
        replaces=order.replaces,
    )
    text = _signed(node, entry, operation, carrier)
    signer = evm_keys.listed_signer(node, node.did)
    issuance = order.issuance or sign_manifest(manifest, signer)
    made = Issue(title, manifest, issuance, text)
    return made, tuple(dict.fromkeys(statements))


def _deadline(node: Node) -> int:
    return times.to_ms(node.clock.now() + making.DEADLINE) // 1000


def _signed(node: Node, entry: ArbiterEntry, operation: EvmOperation, signer: EvmSigner) -> str:
    domain = entry.registry(partners.members_of(node).network).domain
    return to_text(sign_operation(operation, domain, signer))


async def operate(
    node: Node, entry: ArbiterEntry, state: TitleState, order: Order
) -> tuple[str, Statements]:
    """The signed operation on top of a final state, and the recipient's statement if it has one.

    Raises ForbiddenError `title_key_not_held`, ConflictError `title_surrendered`, RefusedError
    `title_recipient_not_listed`, UnavailableError `title_recipient_unreachable`, MalformedError
    `title_request_malformed`.
    """
    making.require_recipient(order)
    making.require_not_surrendered(state, order)
    signer, said = _actor(node, entry, state, order)
    statements = list(said)
    recipient = None
    if order.to is not None and order.kind in making.SURRENDER and order.to == state.issuer.did:
        recipient = address_of(state.issuer)
    elif order.to is not None:
        named = await evm_keys.ask_holder(node, entry, order.to, state.title)
        statements.append(named)
        recipient = named[0].address
    expires = 0
    if order.kind is Kind.OFFER:
        expires = times.to_ms(node.clock.now() + order.lifetime) // 1000
    operation = EvmOperation(
        title=state.title,
        seq=state.seq,
        kind=order.kind,
        sender=signer.address,
        recipient=recipient,
        entry=making.entry_of(state, order),
        deadline=_deadline(node),
        expires=expires,
        ending=making.ending_of(state, order),
    )
    return _signed(node, entry, operation, signer), tuple(statements)


def _actor(
    node: Node, entry: ArbiterEntry, state: TitleState, order: Order
) -> tuple[EvmSigner, Statements]:
    """Who acts and with which key: the carrier with its own, others with the title's (R20)."""
    expected = making.expected(state, order.kind)
    if order.kind in making.CARRIER and order.by in (None, node.did):
        return evm_keys.carrier(node), (evm_keys.state_holder(node, entry, node.did, None),)
    if expected is not None and order.by in (None, expected.did):
        return evm_keys.signer_of(node, expected, state.title), ()
    did = order.by or node.did
    # Not the one that is to act: signed all the same, and refused by the contract with its reason.
    made = evm_keys.state_holder(node, entry, did, state.title)
    return evm_keys.holder(node, did, state.title), (made,)
