"""The running process: settings, lock, services, signals.

`serve` does everything, so a warm parent can fork and call it; nothing is made at import.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from node.home import Home
from node.runtime import Node
from node.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from node.runtime import Service
    from node.telemetry import Telemetry
    from protocols.seams import Clock

LOCK_WAIT = 5.0

# Name, module, class: in the order in which they start and in which each may use the former.
SERVICES = (
    ("trust", "node.trust.service", "TrustService"),
    ("identity", "node.identity.service", "IdentityService"),
    ("documents", "node.documents.service", "DocumentService"),
    ("exchange", "node.exchange.service", "ExchangeService"),
    ("log", "node.log.service", "LogService"),
    ("witness", "node.log.witness_service", "WitnessService"),
    ("chain", "node.chain.service", "ChainService"),
    ("anchor", "node.anchor.service", "AnchorService"),
    ("title", "node.title.service", "TitleService"),
    ("registry", "node.title.registry_service", "RegistryService"),
    ("tracking", "node.tracking.service", "TrackingService"),
    ("ebl", "node.ebl.service", "EblService"),
    ("sending", "node.pint.sending", "SendingService"),
    ("verification", "node.verification.service", "VerificationService"),
    ("ships", "node.ships.service", "ShipService"),
    ("aeo", "node.aeo.service", "AeoService"),
    ("gate", "node.gate.service", "GateService"),
    ("balance", "node.balance.service", "BalanceService"),
    ("basis", "node.basis.service", "BasisService"),
    ("inquiries", "node.inquiries.service", "InquiryService"),
    ("origin", "node.origin.service", "OriginService"),
    ("consistency", "node.consistency.service", "ConsistencyService"),
    ("declarations", "node.declarations.service", "DeclarationService"),
    ("preflight", "node.preflight.service", "PreflightService"),
    ("review", "node.review.service", "ReviewService"),
    ("release", "node.release.service", "ReleaseService"),
    ("evidence", "node.evidence.service", "EvidenceService"),
    ("trace", "node.trace.service", "TraceService"),
    ("pint", "node.pint.service", "PintService"),
    ("exits", "node.title.exit_service", "ExitService"),
    ("disputes", "node.pint.disputing", "DisputeService"),
    ("switches", "node.ebl.switch_service", "SwitchService"),
    ("vc_api", "node.vc_api.service", "VcApiService"),
)


def compose(
    home: Home,
    *,
    clock: Clock | None = None,
    telemetry: Callable[[str], Telemetry] | None = None,
) -> Node:
    """The node of that home with all its services, not yet started; raises SettingsError.

    telemetry: makes it from the node's DID, where the settings' own is not wanted
    """
    home.require()
    settings = load(home.settings_file)
    told = telemetry(settings.node.did) if telemetry else None
    node = Node(home, settings, clock=clock, telemetry=told)
    node.keys.own()  # A damaged key is told now, not when something is to be signed with it.
    node.compose(factories())
    return node


def factories() -> Iterator[tuple[str, Callable[[Node], Service]]]:
    """Name and maker of every service; importing only when its turn comes."""
    for name, module, kind in SERVICES:
        yield name, partial(_make, module, kind)


def warm() -> None:
    """Imports what every node uses, so that nodes forked from this process share it."""
    for _, module, _ in SERVICES:
        import_module(module)


def _make(module: str, kind: str, node: Node) -> Service:
    service: Service = getattr(import_module(module), kind)(node)
    return service


def serve(home_path: Path) -> int:
    """Runs the node of that home until SIGTERM or SIGINT; the exit code.

    Raises SettingsError, ConflictError `home_locked` or UnavailableError before it runs.
    """
    home = Home(home_path)
    home.require()
    with home.lock(wait=LOCK_WAIT):
        node = compose(home)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_until_told(node))
    return 0


async def _until_told(node: Node) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await node.start()
        try:
            await told.wait()
        finally:
            await node.stop()
            node.telemetry.log.info("node.stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        sys.stderr.write("uvloop is not installed; the standard loop is slower\n")
        return None
    return uvloop.new_event_loop
