"""The contract for anchors as the member list names it, and whether our settings agree with it.

What others believe of a chain is the member list's word alone (R5): a node that anchors in another
contract, or takes something else for final, makes anchors that prove nothing to anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.chain.service import listed_validators
from protocols.evm.keys import checksum_text
from protocols.members.anchor_contracts import AnchorContractEntry, AnchorSender
from protocols.members.arbiters import ArbiterEntry

if TYPE_CHECKING:
    from ledger.anchors import Place
    from ledger.chain_settings import Finality
    from protocols.member_list import MemberList

DEFAULT_NAME = "anchors"


def entry_of(
    place: Place, finality: Finality, sender: AnchorSender, name: str = DEFAULT_NAME
) -> AnchorContractEntry:
    """The contract with one log's sender, to be listed by `trust propose --anchor-contract`."""
    mode = f"depth:{finality.depth}" if finality.mode == "depth" else finality.mode
    listed = ArbiterEntry(
        name=name,
        chain_id=place.chain_id,
        contract=place.contract,
        code_hash=place.code_hash,
        finality=mode,
        validators=listed_validators(finality),
    )
    return AnchorContractEntry(listed, (sender,))


def mismatch(own: AnchorContractEntry, members: MemberList | None) -> str | None:
    """Why anchors made by these settings prove nothing under the list, in plain words.

    None while the list names no contract for anchors, and for a log that no entry names yet.
    """
    if members is None or not members.anchor_contracts:
        return None
    place = own.place
    listed = [one for one in members.anchor_contracts if one.place.id == place.id]
    if not listed:
        names = ", ".join(_where(one.place) for one in members.anchor_contracts)
        return f"chain.anchors is {_where(place)}, the member list names {names}"
    finalities = {one.place.finality for one in listed}
    if place.finality not in finalities:
        wanted = " or ".join(sorted(finalities))
        return f"chain.finality is {place.finality}, the member list says {wanted}"
    (sender,) = own.senders
    known = {address for one in listed for address in one.senders_of(sender.origin)}
    if known and sender.address not in known:
        names = ", ".join(sorted(map(checksum_text, known)))
        relayer = checksum_text(sender.address)
        return f"the relayer is {relayer}, the member list names {names} for {sender.origin}"
    return None


def _where(place: ArbiterEntry) -> str:
    return f"{checksum_text(place.contract)} on chain {place.chain_id}"
