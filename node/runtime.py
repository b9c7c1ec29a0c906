"""One running node: what every service is handed, and the order in which services live.

`Node` only holds things together. What a node *does* is in its services, each of which takes the
node in its constructor, declares routes, starts, stops and says whether it is ready.
"""

from __future__ import annotations

import gc
import secrets
import socket
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from node.client import PeerClient
from node.clock import SystemClock
from node.guarded.client import GuardedClient
from node.guarded.places import read_network
from node.home import write_private
from node.http.app import Application, serve_only_operator
from node.http.system import SystemService
from node.keystore import KeyStore
from node.migrations import HEAD
from node.store.store import open_store, require_version, schema_version
from node.telemetry import Telemetry
from protocols.log import epochs as log_epochs
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from node.aeo.service import AeoService
    from node.anchor.service import AnchorService
    from node.balance.service import BalanceService
    from node.basis.service import BasisService
    from node.chain.service import ChainService
    from node.consistency.service import ConsistencyService
    from node.declarations.service import DeclarationService
    from node.documents.service import DocumentService
    from node.ebl.service import EblService
    from node.ebl.switch_service import SwitchService
    from node.evidence.service import EvidenceService
    from node.exchange.service import ExchangeService
    from node.gate.service import GateService
    from node.home import Home
    from node.http.routes import Route
    from node.identity.service import IdentityService
    from node.inquiries.service import InquiryService
    from node.log.service import LogService
    from node.log.witness_service import WitnessService
    from node.origin.service import OriginService
    from node.pint.disputing import DisputeService
    from node.pint.sending import SendingService
    from node.pint.service import PintService
    from node.preflight.service import PreflightService
    from node.release.service import ReleaseService
    from node.review.service import ReviewService
    from node.settings import Settings
    from node.title.exit_service import ExitService
    from node.title.registry_service import RegistryService
    from node.title.service import TitleService
    from node.trace.service import TraceService
    from node.tracking.service import TrackingService
    from node.trust.service import TrustService
    from node.vc_api.service import VcApiService
    from node.verification.service import VerificationService
    from protocols.http_signature import MembersClaim
    from protocols.log.epochs import HandOver
    from protocols.member_list import MemberList
    from protocols.seams import Clock


class Service(Protocol):
    """One part of a node."""

    name: str

    def routes(self) -> Sequence[Route]:
        """What it serves; asked once, before `start`."""
        ...

    async def start(self) -> None:
        """Reads what it needs and begins its background work. The store is open."""
        ...

    async def stop(self) -> None:
        """Ends its background work; called once, also when `start` failed half-way."""
        ...

    def ready(self) -> str | None:
        """None when it can do its work, else the plain reason why not."""
        ...


class Members:
    """Holds the member list in force; None until the node is in a network."""

    def __init__(self) -> None:
        """Empty; the trust service fills it."""
        self.current: MemberList | None = None
        self._handed_over: dict[tuple[str, int, bytes], int] = {}
        self._watchers: list[Callable[[MemberList], None]] = []

    def replace(self, members: MemberList) -> None:
        """Puts a verified list in force, with the hand-overs of logs that are known (R16).

        Tells those who watch.
        """
        logs = log_epochs.handed_over(members.logs, self._handed_over)
        known = members if logs == members.logs else replace(members, logs=logs)
        self.current = known
        for watcher in self._watchers:
            watcher(known)

    def hand_over(self, proven: HandOver) -> None:
        """A log was proven to have handed over to an epoch: that counts from now on."""
        name = (proven.origin, proven.after, proven.new)
        if name not in self._handed_over:
            self._handed_over[name] = proven.since
            if self.current is not None:
                self.replace(self.current)

    def watch(self, watcher: Callable[[MemberList], None]) -> None:
        """`watcher` is called, on the event loop, with every list that comes into force."""
        self._watchers.append(watcher)


class Node:
    """The composition. Services are reached as attributes named after them."""

    # Set by `compose`, each by its own service's name.
    trust: TrustService
    identity: IdentityService
    documents: DocumentService
    exchange: ExchangeService
    log: LogService
    witness: WitnessService
    chain: ChainService
    anchor: AnchorService
    title: TitleService
    registry: RegistryService
    ebl: EblService
    tracking: TrackingService
    disputes: DisputeService
    exits: ExitService
    sending: SendingService
    verification: VerificationService
    aeo: AeoService
    balance: BalanceService
    basis: BasisService
    inquiries: InquiryService
    gate: GateService
    origin: OriginService
    consistency: ConsistencyService
    declarations: DeclarationService
    preflight: PreflightService
    review: ReviewService
    release: ReleaseService
    evidence: EvidenceService
    trace: TraceService
    pint: PintService
    switches: SwitchService
    vc_api: VcApiService

    def __init__(
        self,
        home: Home,
        settings: Settings,
        *,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Opens nothing yet. `settings.node.did` must be set."""
        if not settings.node.did:
            raise SettingsError("setting_missing", "node.did is not set", pointer="/node/did")
        self.home = home
        self.settings = settings
        self.did = settings.node.did
        self.clock: Clock = clock or SystemClock()
        self.telemetry = telemetry or Telemetry(self.did, settings.telemetry.log_level)
        self.keys = KeyStore(home.keys, self.did)
        self.store = open_store(settings.store.url or home.store_url(), settings.store)
        self.members = Members()
        self.client = PeerClient(self)
        fetching = settings.fetching
        self.guarded = GuardedClient(
            lambda: self.members.current,
            hosts=fetching.hosts,
            inside=[read_network(text) for text in fetching.inside],
            quiet=fetching.quiet,
        )
        self.members.watch(lambda _: self.guarded.forgive())
        self.token = ""
        self.endpoint = ""
        self.services: list[Service] = []
        self._started: list[Service] = []
        self._application: Application | None = None

    def compose(self, factories: Iterable[tuple[str, Callable[[Node], Service]]]) -> None:
        """Makes the services in order; each is an attribute under its name."""
        for name, factory in factories:
            service = factory(self)
            setattr(self, name, service)
            self.services.append(service)

    async def start(self, *, listen: bool = True) -> None:
        """Opens the store, starts the services in order, then listens.

        listen: False opens a free loopback port for the operator alone (a command without a
                running node). Raises SettingsError or UnavailableError; then nothing runs.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            await self._start(listen=listen)
            undo.pop_all()
        # What a node is made of stays until it stops: looking through it again and again for
        # garbage took a twentieth of its time under load.
        gc.freeze()

    async def _start(self, *, listen: bool) -> None:
        # A killed process leaves the file behind; nobody may follow it to another's port.
        self.home.endpoint_file.unlink(missing_ok=True)
        listener = self._bind(listen=listen)
        with ExitStack() as undo:
            undo.callback(listener.close)
            await self.store.start()
            require_version(await self.store.read(schema_version), HEAD)
            self.token = self._read_token()
            system = SystemService(self)
            routes = [route for service in self.services for route in service.routes()]
            routes = [*system.routes(routes), *routes]
            self._application = Application(self, routes if listen else serve_only_operator(routes))
            for service in self.services:
                self._started.append(service)
                await service.start()
            await self._application.listen(listener)
            undo.pop_all()
        self._say_where(listen=listen)

    async def stop(self) -> None:
        """Stops listening, then the services in reverse order, then closes the store.

        One that fails in stopping does not keep the others from it.
        """
        gc.unfreeze()
        async with AsyncExitStack() as stack:
            stack.callback(self.home.endpoint_file.unlink, missing_ok=True)
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.client.close)
            stack.push_async_callback(self.guarded.close)
            for service in self._started:
                stack.push_async_callback(service.stop)
            self._started = []
            if self._application is not None:
                stack.push_async_callback(self._application.close)
                self._application = None

    def seen_members(self, did: str, claim: MembersClaim) -> None:
        """A node showed which member list it holds (R4); the trust service judges.

        It is alive, whatever failed there a moment ago.
        """
        entry = self.members.current.node(did) if self.members.current else None
        if entry is not None:
            self.guarded.heard_from(entry.endpoint)
        trust = getattr(self, "trust", None)
        if trust is not None:
            trust.seen_members(did, claim.version, claim.digest)

    def unready(self) -> dict[str, str]:
        """The services that cannot work now, with their reasons."""
        reasons = {service.name: service.ready() for service in self.services}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _bind(self, *, listen: bool) -> socket.socket:
        """Binds early: services may tell others the address before we answer there."""
        http = self.settings.http
        host, port = (http.host, http.port) if listen else ("127.0.0.1", 0)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise SettingsError(
                "listen_failed", f"{host}:{port}: {error.strerror}", pointer="/http/port"
            ) from None
        self.local_url = f"http://{_host_text(host)}:{listener.getsockname()[1]}"
        self.endpoint = http.public_url.rstrip("/") or self.local_url
        return listener

    def _read_token(self) -> str:
        file = self.home.token_file
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32).encode())
        return file.read_text("ascii").strip()

    def _say_where(self, *, listen: bool) -> None:
        if listen:
            write_private(self.home.endpoint_file, self.local_url.encode())
        self.telemetry.log.info("node.started", endpoint=self.local_url)


def _host_text(host: str) -> str:
    """How this machine reaches an address it listens on."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
