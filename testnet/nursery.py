"""A warm parent that forks nodes: eleven processes start in the time of one import.

The nursery is forked from the demo before it has any thread or event loop, imports the node once,
freezes those objects so that their pages stay shared, and then forks a child per node on request.
Requests are JSON lines over a socket pair, one answer to each:

Beside the nodes it starts one other program, before it imports anything: the chain.

``{"do": "start", "name": str, "home": path, "log": path}`` → ``{"pid": int}``
``{"do": "forward", "port": int, "target": int, "log": path}`` → ``{"pid": int}``
``{"do": "signal", "pid": int, "signal": int}`` → ``{"gone": bool}``
``{"do": "status", "pid": int}`` → ``{"exit": int | null}``
``{"do": "beside"}`` → ``{"pid": int}``
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANSWER_DEADLINE = 60.0
_MAX_LINE = 65_536
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Beside:
    """A program to run, and the file to which its output goes."""

    command: Sequence[str]
    log: Path


@dataclass(slots=True)
class Nursery:
    """The demo's handle on the warm parent."""

    pid: int
    _socket: socket.socket
    _reader: Any

    @classmethod
    def start(
        cls, warm: Callable[[], None], serve: Callable[[Path], int], beside: Beside
    ) -> Nursery:
        """Forks the warm parent. Call it before any thread or event loop exists.

        warm:  imports what every node needs
        serve: runs one node in its home until it is told to stop, and returns its exit code
        beside: the program that runs beside the nodes
        """
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            code = 1
            with suppress(KeyboardInterrupt):
                code = _Parent(theirs, serve).run(warm, beside)
            os._exit(code)
        theirs.close()
        ours.settimeout(ANSWER_DEADLINE)
        return cls(pid, ours, ours.makefile("rb"))

    def spawn(self, name: str, home: Path, log: Path) -> int:
        """Starts the node of that home, its output going to `log`; its process id."""
        return int(
            self._ask({"do": "start", "name": name, "home": str(home), "log": str(log)})["pid"]
        )

    def forward(self, port: int, target: int, log: Path) -> int:
        """Starts a relay from `port` to `target`, which ends with the nodes; its process id."""
        asked = {"do": "forward", "port": port, "target": target, "log": str(log)}
        return int(self._ask(asked)["pid"])

    def beside(self) -> int:
        """The process id of the program beside the nodes."""
        return int(self._ask({"do": "beside"})["pid"])

    def signal(self, pid: int, number: int) -> None:
        """Sends a signal to a node; a node that is gone already is no fault."""
        self._ask({"do": "signal", "pid": pid, "signal": number})

    def exit_code(self, pid: int) -> int | None:
        """None while the node runs; negative for a signal, as subprocess does it."""
        code = self._ask({"do": "status", "pid": pid})["exit"]
        return None if code is None else int(code)

    def close(self) -> None:
        """Ends the warm parent and with it every node that still runs."""
        self._socket.close()
        self._reader.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def detach(self) -> None:
        """Leaves the warm parent and its nodes running after this process has ended."""
        self._ask({"do": "detach"})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        line = self._reader.readline(_MAX_LINE)
        if not line:
            raise RuntimeError("the nursery has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class _Parent:
    """The warm parent's own side. Single-threaded, so that forking is safe."""

    def __init__(self, channel: socket.socket, serve: Callable[[Path], int]) -> None:
        self._channel = channel
        self._serve = serve
        self._exits: dict[int, int | None] = {}
        self._beside = 0
        self._detached = False

    def run(self, warm: Callable[[], None], beside: Beside) -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_with_parent()
        self._beside = self._fork(lambda: _become(beside.command), beside.log)
        warm()
        gc.collect()
        gc.freeze()
        reader = self._channel.makefile("rb")
        while line := reader.readline(_MAX_LINE):
            answer = self._answer(json.loads(line))
            self._channel.sendall(json.dumps(answer).encode() + b"\n")
        if self._detached:
            self._wait_for_the_word_to_stop()
        self._end_all()
        return 0

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self._reap()
        match request["do"]:
            case "start":
                home = Path(request["home"])
                return {"pid": self._fork(lambda: self._serve(home), Path(request["log"]))}
            case "forward":
                port, target = int(request["port"]), int(request["target"])
                return {"pid": self._fork(lambda: _forward(port, target), Path(request["log"]))}
            case "beside":
                return {"pid": self._beside}
            case "signal":
                return {"gone": not self._send(request["pid"], request["signal"])}
            case "status":
                return {"exit": self._exits.get(request["pid"])}
            case "detach":
                self._detached = True
                _end_with_parent(0)
                os.setsid()
                return {}
            case unknown:
                raise ValueError(f"the nursery does not know {unknown!r}")

    def _fork(self, work: Callable[[], int], log: Path) -> int:
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            os._exit(_child(work, log))
        self._exits[pid] = None
        return pid

    def _send(self, pid: int, number: int) -> bool:
        if self._exits.get(pid, 0) is not None:
            return False
        os.kill(pid, number)
        return True

    def _reap(self) -> None:
        for pid, code in list(self._exits.items()):
            if code is None:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self._exits[pid] = os.waitstatus_to_exitcode(status)

    def _wait_for_the_word_to_stop(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while any(code is None for code in self._exits.values()):
            if signal.sigwaitinfo({signal.SIGTERM, signal.SIGCHLD}).si_signo == signal.SIGTERM:
                return
            self._reap()

    def _end_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._reap()
            running = [pid for pid, code in self._exits.items() if code is None]
            for pid in running:
                self._send(pid, number)
            for pid in running:
                self._wait(pid, seconds=5 if number == signal.SIGTERM else 1)

    def _wait(self, pid: int, seconds: float) -> None:
        pause = 0.05
        for _ in range(int(seconds / pause)):
            self._reap()
            if self._exits[pid] is not None:
                return
            signal.sigtimedwait({signal.SIGCHLD}, pause)


def _become(command: Sequence[str]) -> int:
    """Turns this process into another program; the kernel still ends it with its parent."""
    os.execv(command[0], list(command))  # noqa: S606 no shell is wanted


def _forward(port: int, target: int) -> int:
    from testnet.relay import serve

    return serve(port, target)


def _child(work: Callable[[], int], log: Path) -> int:
    _end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    try:
        return work()
    except SystemExit as end:
        return int(end.code or 0) if isinstance(end.code, int | None) else 1


def _end_with_parent(number: int = signal.SIGTERM) -> None:
    """Linux: have the kernel end this process when its parent dies, so no node is left behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def proportional_memory(pid: int) -> int:
    """Proportional set size of a process in bytes (/proc/PID/smaps_rollup); 0 when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
