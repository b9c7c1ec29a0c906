"""The VC-API mode: an HTTPS listener on loopback that issues and verifies for whoever asks.

Off by default (`vc_api.enabled`). It issues without authentication, so it runs only while the node
is in no network or in one that is flagged for tests: it refuses to start elsewhere, and ends when
the node joins such a network. Its issuers are did:key identifiers that no member list knows.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.http.app import Application
    from node.http.routes import Route
    from node.runtime import Node
    from node.vc_api.handlers import VcApiHandlers
    from protocols.member_list import MemberList

HOST = "127.0.0.1"


class VcApiService:
    """`node.vc_api`."""

    name = "vc_api"

    def __init__(self, node: Node) -> None:
        """Opens nothing."""
        self._node = node
        self._application: Application | None = None
        self._handlers: VcApiHandlers | None = None
        self._ending: asyncio.Task[None] | None = None
        self.url = ""

    def routes(self) -> Sequence[Route]:
        """None among the node's own: it listens elsewhere."""
        return ()

    async def start(self) -> None:
        """Listens, when it is enabled; raises SettingsError `vc_api_not_here`, `listen_failed`."""
        if not self._node.settings.vc_api.enabled:
            return
        _require_test(self._node.members.current)
        listener = self._bind()
        with ExitStack() as undo:
            undo.callback(listener.close)
            await self._listen(listener)
            undo.pop_all()
        self._node.members.watch(self._list_changed)
        self._node.telemetry.log.warning("vc_api.started", url=self.url)

    async def stop(self) -> None:
        """Stops listening and ends the workers."""
        application, self._application = self._application, None
        if application is not None:
            await application.close()
        handlers, self._handlers = self._handlers, None
        if handlers is not None:
            await handlers.close()

    def ready(self) -> str | None:
        """It never holds the node back."""
        return None

    async def _listen(self, listener: socket.socket) -> None:
        from node.http.app import Application
        from node.vc_api import tls
        from node.vc_api.handlers import VcApiHandlers

        node = self._node
        folder = node.home.path / "vc-api"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.url = f"https://{HOST}:{listener.getsockname()[1]}"
        self._handlers = VcApiHandlers(node, folder, self.url)
        self._application = Application(node, self._handlers.routes())
        context = tls.context(node.settings.vc_api, folder, node.clock.now())
        await self._application.listen(listener, tls=context)

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = self._node.settings.vc_api.port
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            raise SettingsError(
                "listen_failed", f"{HOST}:{port}: {error.strerror}", pointer="/vc_api/port"
            ) from None
        return listener

    def _list_changed(self, members: MemberList) -> None:
        if not members.test and self._application is not None and self._ending is None:
            self._node.telemetry.log.error("vc_api.ended", code="vc_api_not_here")
            self._ending = asyncio.ensure_future(self.stop())


def _require_test(members: MemberList | None) -> None:
    if members is not None and not members.test:
        raise SettingsError("vc_api_not_here", pointer="/vc_api/enabled")
