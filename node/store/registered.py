"""Which modules declare tables. Migrations and checks read this list; running a node does not."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import MetaData

MODULES = (
    "node.store.events",
    "node.http.tables",
    "node.trust.tables",
    "node.documents.tables",
    "node.exchange.tables",
    "node.title.tables",
    "node.verification.tables",
    "node.release.tables",
    "node.review.tables",
    "node.aeo.tables",
    "node.ships.tables",
    "node.balance.tables",
    "node.basis.tables",
    "node.inquiries.tables",
    "node.gate.tables",
    "node.pint.tables",
    "node.tracking.tables",
    "node.ebl.tables",
    "ledger.tables",
    "ledger.registry_tables",
    "ledger.chain_tables",
    "ledger.evm_tables",
)


def all_metadata() -> list[MetaData]:
    """The distinct MetaData of all registered modules, with every table declared."""
    found: dict[int, MetaData] = {}
    for name in MODULES:
        module_metadata: MetaData = import_module(name).metadata
        found[id(module_metadata)] = module_metadata
    return list(found.values())
