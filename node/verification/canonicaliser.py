"""RDF canonicalisation (RDFC-1.0) in processes that are killed when they take too long.

A small graph can be made to cost for ever, and the library can neither be interrupted nor limited
(ADR 0016). So each document goes to a worker process with a cap on blank nodes, memory and time;
one that overruns is killed and replaced. The event loop only ever waits on a pipe.

`Canonicaliser` is for the node, `OfflineCanonicaliser` for a command without one.
"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import time
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from protocols.credentials import jsonld, nquads
from schemas import strict_json
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.verification.contexts import ContextStore
    from protocols.credentials.canonical_forms import CanonicalForms, CanonicalInput, DigestName
    from schemas.strict_json import JsonValue

WORKER = Path(__file__).with_name("rdf_worker.py")
START_SECONDS = 15.0
#: One that was killed had its time; this much longer the pipe may take to say so.
GRACE_SECONDS = 0.25
MAX_ANSWER = 16 * 1024 * 1024
OVER_LIMIT = "rdf_limit_exceeded"
NOT_RDF = "proof_transformation_error"
_HEADER_SIZE = 5
_DIGESTS = {"sha256": 0, "sha384": 1}
_ASYNC_FAULTS = (asyncio.IncompleteReadError, TimeoutError, OSError)

Spawned: TypeAlias = "subprocess.Popen[bytes]"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost: seconds of wall time, blank nodes, bytes of address space.

    workers: processes at most; more documents wait their turn
    """

    seconds: float = 1.0
    blank_nodes: int = 200
    memory: int = 512 * 1024 * 1024
    workers: int = 4


def _command(limits: Limits) -> list[str]:
    return [sys.executable, "-I", str(WORKER), str(limits.memory)]


def _request(prepared: JsonValue, digest: DigestName, limits: Limits) -> bytes:
    data = strict_json.canonical(prepared)
    numbers = (int(limits.seconds * 1000), limits.blank_nodes)
    head = b"".join(number.to_bytes(4) for number in numbers)
    return head + _DIGESTS[digest].to_bytes(1) + len(data).to_bytes(4) + data


def _result(status: int, text: bytes) -> bytes:
    """The canonical N-Quads, looked at; raises what the worker found."""
    if status == 0:
        nquads.require_whole(text)
        return text
    told = text.decode("utf-8", "replace")
    raise RefusedError(NOT_RDF, told) if status == 1 else UnavailableError(OVER_LIMIT, told)


def _overrun(limits: Limits) -> UnavailableError:
    return UnavailableError(OVER_LIMIT, f"not done within {limits.seconds:g} s and its memory")


def _length(head: bytes) -> int:
    length = int.from_bytes(head[1:])
    if length > MAX_ANSWER:
        raise UnavailableError(OVER_LIMIT, "a larger graph than is read here")
    return length


class Canonicaliser:
    """A pool of worker processes; made on demand, kept while they behave."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Starts nothing yet."""
        self.limits = limits or Limits()
        self._turn = asyncio.Semaphore(self.limits.workers)
        self._idle: list[Process] = []
        self._all: set[Process] = set()

    async def canonicalise(
        self, document: Mapping[str, JsonValue], *, digest: DigestName, contexts: ContextStore
    ) -> bytes:
        """The canonical N-Quads (UTF-8) of a JSON-LD document with imported contexts.

        digest: the one RDFC-1.0 is parameterised with, "sha256" or "sha384".
        Raises UnavailableError `proof_contexts_missing` naming what to import, or
        `rdf_limit_exceeded`; RefusedError `jsonld_context_unsafe`, `data_loss_detection_error`,
        `proof_transformation_error`.
        """
        request = _request(jsonld.prepared(document, contexts.bodies), digest, self.limits)
        async with self._turn:
            worker = self._waiting() or await self._start()
            try:
                async with asyncio.timeout(self.limits.seconds + GRACE_SECONDS):
                    answer = await self._ask(worker, request)
            except _ASYNC_FAULTS:
                raise _overrun(self.limits) from None
            else:
                self._idle.append(worker)
            finally:
                if worker not in self._idle:
                    await self._end(worker)
        return _result(*answer)

    async def forms(
        self, inputs: Iterable[CanonicalInput], contexts: ContextStore
    ) -> CanonicalForms:
        """What came of each input: its canonical form, or the error in the way. Never raises."""
        found: dict[bytes, bytes | TradeError] = {}
        for item in inputs:
            try:
                found[item.key] = await self.canonicalise(
                    item.document, digest=item.digest, contexts=contexts
                )
            except TradeError as error:
                found[item.key] = error
                if error.code == OVER_LIMIT:
                    break  # One document may not cost its limit many times over.
        return found

    async def close(self) -> None:
        """Ends every worker."""
        self._idle.clear()
        await asyncio.gather(*map(self._end, list(self._all)))

    def _waiting(self) -> Process | None:
        """One that waits for work and has not been ended from outside meanwhile."""
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
            self._all.discard(worker)
        return None

    async def _start(self) -> Process:
        worker = await asyncio.create_subprocess_exec(
            *_command(self.limits),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self._all.add(worker)
        try:
            assert worker.stdout is not None
            async with asyncio.timeout(START_SECONDS):
                await worker.stdout.readexactly(1)
        except BaseException as error:
            await self._end(worker)
            if isinstance(error, _ASYNC_FAULTS):
                raise UnavailableError("rdf_unavailable", "the worker did not start") from None
            raise
        return worker

    async def _ask(self, worker: Process, request: bytes) -> tuple[int, bytes]:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(request)
        await worker.stdin.drain()
        head = await worker.stdout.readexactly(_HEADER_SIZE)
        return head[0], await worker.stdout.readexactly(_length(head))

    async def _end(self, worker: Process) -> None:
        self._all.discard(worker)
        assert worker.stdout is not None
        if worker.returncode is None and not worker.stdout.at_eof():
            # Not when it has ended by itself: killing would take its status from the loop.
            worker.kill()
        await worker.wait()


class OfflineCanonicaliser:
    """The same for a program without an event loop; one worker, ended with the block."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Starts nothing yet."""
        self.limits = limits or Limits()
        self._worker: Spawned | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def canonicalise(
        self, document: Mapping[str, JsonValue], *, digest: DigestName, contexts: ContextStore
    ) -> bytes:
        """As `Canonicaliser.canonicalise`."""
        request = _request(jsonld.prepared(document, contexts.bodies), digest, self.limits)
        worker = self._worker or self._start()
        assert worker.stdin is not None
        until = time.monotonic() + self.limits.seconds + GRACE_SECONDS
        try:
            worker.stdin.write(request)
            worker.stdin.flush()
            head = _read(worker, _HEADER_SIZE, until)
            text = _read(worker, _length(head), until)
        except (EOFError, TimeoutError, OSError):
            self.close()
            raise _overrun(self.limits) from None
        return _result(head[0], text)

    def forms(self, inputs: Iterable[CanonicalInput], contexts: ContextStore) -> CanonicalForms:
        """As `Canonicaliser.forms`."""
        found: dict[bytes, bytes | TradeError] = {}
        for item in inputs:
            try:
                found[item.key] = self.canonicalise(
                    item.document, digest=item.digest, contexts=contexts
                )
            except TradeError as error:
                found[item.key] = error
                if error.code == OVER_LIMIT:
                    break
        return found

    def close(self) -> None:
        """Ends the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    _shut(pipe)

    def _start(self) -> Spawned:
        worker = subprocess.Popen(  # noqa: S603 - this interpreter, a file of ours
            _command(self.limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        self._worker = worker
        try:
            _read(worker, 1, time.monotonic() + START_SECONDS)
        except (EOFError, TimeoutError, OSError):
            self.close()
            raise UnavailableError("rdf_unavailable", "the worker did not start") from None
        return worker


def _shut(pipe: object) -> None:
    close = getattr(pipe, "close", None)
    if close is not None:
        close()


def _read(worker: Spawned, size: int, until: float) -> bytes:
    """Exactly so many bytes, or EOFError, or TimeoutError at the monotonic moment `until`."""
    assert worker.stdout is not None
    descriptor, parts, missing = worker.stdout.fileno(), list[bytes](), size
    while missing:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        part = os.read(descriptor, missing)
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
