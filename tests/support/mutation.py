"""Takes single numbered steps out of the code and finds the tests that notice.

A step is a function that answers a `Check` and whose docstring begins with its number, such as
``CRED-07: …``; they are found by reading the sources. "Taken out" means that its work is done and
its verdict is dropped: whatever it found, it passes. Functions are changed in place, in a child
process per step, so that every table and import that holds one sees it; product code has no
switch for it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import signal
import time
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from schemas.errors import TradeError
from schemas.findings import Check, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "protocols", "ledger", "interop", "node", "testnet")
STEP_SECONDS = 120
_NUMBER = re.compile(r"([A-Z]{2,6}-\d{2}): ")
_ANSWERS = frozenset({"Check", "Check | None"})
_REPLACEMENT = "__the_step_that_was_taken_out__"


@dataclass(frozen=True, order=True)
class Step:
    """One numbered step: its number, and the function that takes it."""

    number: str
    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.number} {self.module}.{self.function}"

    @property
    def tag(self) -> str:
        """The number as it stands in the names of functions and tests: ``cred_07``."""
        return self.number.lower().replace("-", "_")

    def resolve(self) -> FunctionType:
        """The function itself, perhaps a class's."""
        found = attrgetter(self.function)(importlib.import_module(self.module))
        assert isinstance(found, FunctionType), self
        return found


def find_steps() -> list[Step]:
    """Every numbered step of the product, by number."""
    found = (step for package in PACKAGES for step in _steps_below(ROOT / package))
    return sorted(found)


def test_files(steps: Sequence[Step]) -> list[str]:
    """The unit tests that name one of the steps, so that a step costs seconds."""
    names = re.compile("|".join({name for step in steps for name in (step.number, step.tag)}))
    files = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    return [str(file) for file in files if names.search(file.read_text(encoding="utf-8"))]


def _steps_below(folder: Path) -> Iterator[Step]:
    for file in sorted(folder.rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for name, node in _functions(ast.parse(file.read_text(encoding="utf-8"))):
            number = _NUMBER.match(ast.get_docstring(node) or "")
            if number and node.returns and ast.unparse(node.returns) in _ANSWERS:
                yield Step(number[1], module, name)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module and of its classes, with their dotted names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            methods = (item for item in node.body if isinstance(item, ast.FunctionDef))
            yield from ((f"{node.name}.{item.name}", item) for item in methods)


def take_out(step: Step) -> Callable[[], None]:
    """Let the step pass whatever it finds, and return what puts it back."""
    function = step.resolve()
    code, defaults, by_name = function.__code__, function.__defaults__, function.__kwdefaults__
    original = FunctionType(code, function.__globals__, step.function, defaults)
    original.__kwdefaults__ = by_name

    def passing(*args: Any, **kwargs: Any) -> Check | None:
        try:
            found = original(*args, **kwargs)
        except TradeError:
            return Check(step.number, Outcome.PASSED)
        return found and Check(found.id, Outcome.PASSED, evidence=found.evidence)

    namespace: dict[str, Any] = {}
    exec(f"def stub(*args, **kwargs): return {_REPLACEMENT}(*args, **kwargs)", namespace)
    function.__globals__[_REPLACEMENT] = passing
    function.__defaults__ = function.__kwdefaults__ = None
    function.__code__ = namespace["stub"].__code__

    def put_back() -> None:
        function.__code__ = code
        function.__defaults__, function.__kwdefaults__ = defaults, by_name

    return put_back


@dataclass
class Mutator:
    """A pytest plugin: instead of running the tests once, runs them against each missing step.

    killers: step → the test that noticed, or "" when none did
    """

    steps: Sequence[Step]
    workers: int = 2
    told: Callable[[Step, str], None] = lambda _step, _test: None
    killers: dict[Step, str] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """One child process per step, some at a time."""
        if session.testsfailed:
            raise session.Interrupted("a test file cannot be read")
        waiting = list(reversed(self.steps))
        running: dict[int, tuple[Step, int, float]] = {}
        while waiting or running:
            while waiting and len(running) < self.workers:
                step = waiting.pop()
                pid, pipe = _in_child(step, _fitting(session.items, step))
                running[pid] = (step, pipe, time.monotonic() + STEP_SECONDS)
            for pid in list(running):
                step, pipe, until = running[pid]
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    if time.monotonic() > until:
                        os.kill(pid, signal.SIGKILL)
                    continue
                del running[pid]
                with os.fdopen(pipe, "rb") as answer:
                    self.killers[step] = (answer.read() or b"").decode()
                self.told(step, self.killers[step])
            time.sleep(0.01)
        return True


def _fitting(items: Sequence[pytest.Item], step: Step) -> list[pytest.Item]:
    """All tests, those first that name the step; a stable order."""
    return sorted(items, key=lambda item: _distance(item, step))


def _distance(item: pytest.Item, step: Step) -> int:
    if step.tag in item.name or step.number in item.name:
        return 0
    text = _source_of(item)
    if step.number in text:
        return 1
    if step.tag in text:
        return 2
    return 3 if step.number in _file_of(item) else 4


_SOURCES: dict[object, str] = {}


def _source_of(item: pytest.Item) -> str:
    function = getattr(item, "function", None)
    if function not in _SOURCES:
        _SOURCES[function] = inspect.getsource(inspect.unwrap(function)) if function else ""
    return _SOURCES[function]


def _file_of(item: pytest.Item) -> str:
    if item.path not in _SOURCES:
        _SOURCES[item.path] = item.path.read_text(encoding="utf-8")
    return _SOURCES[item.path]


def _in_child(step: Step, items: Sequence[pytest.Item]) -> tuple[int, int]:
    """The process that runs `items` without `step`, and the pipe on which it names the killer."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as answer:
            answer.write(_killer(step, items).encode())
        code = 0
    finally:
        os._exit(code)


def _killer(step: Step, items: Sequence[pytest.Item]) -> str:
    """The first test that fails without the step and passes with it, or ""."""
    put_back = take_out(step)
    for item in items:
        if not _fails(item):
            continue
        put_back()
        if not _fails(item):
            return item.nodeid
        put_back = take_out(step)
    return ""


def _fails(item: pytest.Item) -> bool:
    if hasattr(item, "_initrequest"):
        item._initrequest()
    reports = runtestprotocol(item, nextitem=None, log=False)
    return any(report.failed for report in reports)
