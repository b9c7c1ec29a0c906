"""A small server that answers as it is told and counts every connection; and certificates."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.http.listening import end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_HOUR = timedelta(hours=1)


def answer(
    body: bytes, media_type: str = "application/json", *, status: str = "200 OK", **headers: str
) -> bytes:
    """A whole HTTP/1.1 answer; header names are written with _ for -."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@dataclass
class HostileWeb:
    """A listening server: how often it was connected to, and what was asked."""

    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The request targets, in order."""
        return [head.split(" ", 2)[1] for head in self.heads]


@asynccontextmanager
async def hostile_web(
    reply: Callable[[str], bytes | None],
    *,
    tls: ssl.SSLContext | None = None,
    trickle: float = 0.0,
    port: int = 0,
) -> AsyncIterator[HostileWeb]:
    """A server on a loopback port, a free one if none is given.

    reply:   request target → the bytes to send; None hangs up without a word
    trickle: seconds between single bytes, for the slow loris
    """
    web, writers = HostileWeb(), set[asyncio.StreamWriter]()
    serving = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        web.connections += 1
        writers.add(writer)
        serving.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            web.heads.append(head)
            data = reply(head.split(" ", 2)[1])
            if data is None:
                return
            for at in range(0, len(data), 1 if trickle else len(data)):
                writer.write(data[at : at + 1] if trickle else data)
                await writer.drain()
                await asyncio.sleep(trickle)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        await end(server)
        for writer in tuple(writers):
            writer.transport.abort()
        # None is left to be collected in the midst of another test.
        await asyncio.gather(*filter(None, serving), return_exceptions=True)
        await asyncio.sleep(0)


def certified(
    folder: Path, name: str = "127.0.0.1", *, expired: bool = False
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for `name`, and a client's that trusts its issuer."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A made-up authority")])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 48 * _HOUR)
        .not_valid_after(now + (-_HOUR if expired else _HOUR))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    file = folder / f"{name}-{expired}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(
        cadata=certificate.public_bytes(Encoding.PEM).decode()
    )
