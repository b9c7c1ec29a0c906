"""Headings and fixed words of tables in Chinese: all that the code shows, and the commands' own."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Self

import pytest

import node.cli
from node.cli import main, output
from node.verification import report_view
from schemas.words import in_language, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = (*sorted(Path(node.cli.__path__[0]).glob("*.py")), Path(report_view.__file__))
DID, HEX, AT = "did:web:a.example", "ab" * 32, "2026-11-18T08:00:00Z"
_ENGLISH, _CHINESE = re.compile(r"[a-z]"), re.compile(r"[\u4e00-\u9fff]")


def _calls(name: str) -> Iterator[tuple[str, ast.Module, ast.Call]]:
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for found in ast.walk(tree):
            called = found.func if isinstance(found, ast.Call) else None
            if called is not None and ast.unparse(called) == f"output.{name}":
                assert isinstance(found, ast.Call)
                yield source.name, tree, found


def _texts(tree: ast.AST) -> Iterator[str]:
    for found in ast.walk(tree):
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


def _columns(tree: ast.Module, argument: ast.expr) -> Iterator[str]:
    """The headings of a call: written there, or in tuples of the module under that name."""
    if isinstance(argument, ast.Tuple):
        yield from _texts(argument)
    elif isinstance(argument, ast.Name):
        for found in ast.walk(tree):
            named = isinstance(found, ast.Assign) and ast.unparse(found.targets[0]) == argument.id
            if named and isinstance(found, ast.Assign) and isinstance(found.value, ast.Tuple):
                elements = [one for one in found.value.elts if isinstance(one, ast.Constant)]
                yield from (str(one.value) for one in elements)


def test_every_heading_of_every_table_has_its_chinese_word() -> None:
    found: dict[str, str] = {}
    for source, tree, call in _calls("table"):
        if isinstance(call.args[0], ast.Constant):
            found[str(call.args[0].value)] = source
        if len(call.args) > 1:
            found |= dict.fromkeys(_columns(tree, call.args[1]), source)
    assert len(found) > 150
    missing = {text: source for text, source in found.items() if _ENGLISH.search(text)}
    assert {text: source for text, source in missing.items() if text not in words()} == {}


def test_every_fixed_word_that_is_said_has_its_chinese_word() -> None:
    said = {text for _, _, call in _calls("say") for text in _said(call)}
    assert len(said) > 60
    assert {text for text in said if text not in words()} == set()


def _said(call: ast.Call) -> list[str]:
    """What is said: a text, or one of two."""
    argument = call.args[0]
    branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    return [one.value for one in branches if isinstance(one, ast.Constant)]


def test_both_languages_name_the_same_values_and_nothing_is_left_english() -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for english, chinese in words().items():
        assert fields(english) == fields(chinese), english
        bare = re.sub(r"\{\w+\}|--country|country NL", "", chinese)
        assert _CHINESE.search(chinese) or not _ENGLISH.search(bare), chinese


def test_what_is_no_fixed_word_stays_and_english_stays_english() -> None:
    assert in_language("did:web:a.example", "zh") == "did:web:a.example"
    assert in_language("country", "en") == "country"
    assert in_language("country", "zh") == "国家"


# -- the commands of customs officers and auditors -------------------------------------------------


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that a command wanted to say in Chinese and that stayed English."""
    missing: list[str] = []

    def recorded(text: str, lang: str) -> str:
        told = in_language(text, lang)
        assert lang == "zh"
        if _ENGLISH.search(told) and not _CHINESE.search(told):
            missing.append(text)
        return told

    monkeypatch.setattr(output, "in_language", recorded)
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return missing


class _Client:
    """A node that answers every question with one body."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def get(self, *_: object, **__: object) -> Any:
        return self.body

    def post(self, *_: object, **__: object) -> Any:
        return self.body


PARTY = {"did": DID, "platform": "NLPE", "key": None, "here": False}
OPERATION = {
    "digest": HEX, "kind": "TRANSFER", "seq": 1, "from": {"did": DID}, "to": {"did": DID},
}  # fmt: skip
TITLE = {
    "title": HEX,
    "final": False,
    "asOf": AT,
    "document": HEX,
    "state": {
        "state": "LIVE", "bill": "TO_ORDER", "seq": 1, "possessor": {"did": DID},
        "holder": None, "issuer": {"did": DID},
    },
    "registry": {
        "name": "chain", "contract": "0x00", "chainId": 1, "block": None, "finality": "finalized",
        "finalBlock": 7,
    },
    "history": [OPERATION],
    "submitted": [{"status": "pending", "code": "", "operation": OPERATION}],
}  # fmt: skip
BILL = {
    "transportDocumentReference": "TDR-1", "state": "LIVE", "bill": "TO_ORDER", "ending": "PAPER",
    "possessor": PARTY, "titleholder": None, "seq": 3, "asOf": AT, "guarantee": "arbiter",
    "title": HEX, "arbiter": HEX, "master": "MB-1", "house": ["HB-1"], "replaces": HEX,
    "replacedBy": HEX, "controlTrackingRegistry": "https://ctr.example",
}  # fmt: skip
MOVE = {"actionDateTime": AT, "actionCode": "ENDORSE_TO_ORDER",
        "actor": {"partyName": "A", "eblPlatform": "NLPE"}}  # fmt: skip
HEAD = {"size": 1, "root": HEX}
BODIES: dict[str, tuple[str, Any]] = {
    "title show": (f"title show {HEX}", TITLE),
    "title list": ("title list", {"titles": [TITLE], "after": None}),
    "ebl show": ("ebl show TDR-1", BILL),
    "ebl chain": (
        "ebl chain TDR-1",
        [{"transportDocumentReference": "TDR-1", "endorsementChain": [MOVE]}],
    ),
    "ebl list": ("ebl list", {"bills": []}),
    "ebl surrenders": ("ebl surrenders", {"surrenders": []}),
    "release show": (
        "release show NHLU2631075",
        {
            "outcome": "RELEASE", "container": "NHLU2631075", "consignment": "U", "at": AT,
            "rules": {"edition": "NL-1", "digest": HEX}, "alerts": [],
            "conditions": [
                {"id": f"REL-{place:03}", "title": "条件", "state": state, "blocking": place == 0}
                for place, state in enumerate(("met", "unmet", "unknown", "not-required"))
            ],
            "orders": [
                {"number": "RO-1", "state": state, "gateGroup": "G", "collector": "C",
                 "notAfter": AT}
                for state in ("open", "used", "void", "expired")
            ],
        },
    ),
    "release list": (
        "release list U",
        {"extent": "NONE", "containers": [{"container": "C", "outcome": "HOLD", "unmet": []}]},
    ),
    "documents": (
        "documents",
        {
            "next": 7,
            "documents": [
                {"digest": HEX, "type": "t", "number": "n", "issuer": DID, "origin": origin,
                 "status": {"revoked": revoked, "suspended": not revoked and lost},
                 "basisLost": lost}
                for origin, revoked, lost in (("issued", True, False), ("received", False, True),
                                              ("issued", False, False))
            ],
        },
    ),
    "log audit": (
        "log audit",
        {"origin": "a.example/log/1", "verified": 1, "size": 1, "done": True, "witnessed": True,
         "ok": True, "faults": []},
    ),
    "log show": (
        "log show",
        {
            "origin": "a.example/log/1", "vkey": "k", "leaves": 1, "signed": HEAD,
            "witnessed": None, "policy": {"quorum": 1, "witnesses": 2}, "confirmed": False,
            "trouble": "log_split_view", "fault": None, "keys": ["k"],
            "handOver": {"epoch": 2, "trouble": ""},
            "frozen": [{"origin": "o", "size": 1, "reason": "lost"}],
            "witnesses": [{"name": "w", "size": 1, "error": None}],
            "mirrors": [{"name": "w", "size": 1, "error": None}],
            "marked": [{"did": DID, "code": "c"}],
        },
    ),
    "trust show": (
        "trust show",
        {
            "name": "Net", "test": True, "network": HEX, "version": 1, "digest": HEX,
            "expires": AT, "freshness": "fresh", "roots": {"threshold": 1, "keys": ["k"]},
            "pending": 0, "issuers": [], "agreements": [],
            "nodes": [{"did": DID, "name": "A", "country": "NL", "roles": [], "endpoint": "e"}],
        },
    ),
    "trust show --pending": (
        "trust show --pending",
        {"requests": [], "proposals": [
            {"version": 2, "signatures": 1, "threshold": 2, "changes": []}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BODIES))
def test_no_table_of_these_commands_shows_an_english_heading_in_chinese(
    name: str,
    untold: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, body = BODIES[name]
    monkeypatch.setattr("node.operator.operator", lambda *_, **__: _Client(body))
    arguments = command.split()
    main.build(arguments)(arguments, prog_name="pratique", standalone_mode=False)
    shown = capsys.readouterr().out
    assert _CHINESE.search(shown), shown
    assert untold == []


def _report() -> dict[str, Any]:
    """A report of another moment, with all that is shown of one."""
    evidence = {"version": 3, "issued": AT, "digest": HEX}
    status = {"signedAt": AT, "digest": HEX, "list": "u", "says": "revoked", "ageSeconds": 7200}
    checks: list[dict[str, Any]] = [
        {"id": "CRED-12", "evidence": evidence},
        {"id": "CRED-11", "evidence": {"version": 3, "digest": HEX}},
        {"id": "CRED-10", "evidence": status | {"suspension": status | {"ageSeconds": 1}}},
        {"id": "CRED-13", "evidence": {"disclosed": ["/a"], "withheld": ["/b"]}},
        {"id": "CRED-06", "code": "not_reached"},
    ]
    finding = {"rule": "BOL-001", "severity": "error", "pointer": "/a", "message": "x"}
    return {
        "verdict": "FAILED", "subject": HEX, "historical": True, "at": AT,
        "checks": [{"outcome": "FAILED", "title": "检查"} | one for one in checks],
        "findings": [finding, finding | {"severity": "warning"}],
    }  # fmt: skip


def _verify() -> None:
    report_view.show(_report())
    report_view.show_unasked({"checks": [{"id": "CRED-06"}]})


def _evaluated() -> None:
    check = {"id": "RCEP-001", "outcome": "PASSED", "title": "检查", "evidence": {}}
    rule = {"alternatives": ["CTH", "RVC40"], "source": "S", "demonstration": True}
    tried = {"verdict": "FAILED", "tests": [check]}
    origin = {
        "criterion": None, "annotations": [], "also": ["WO"], "verdict": "PASSED", "rule": rule,
        "tests": [check], "withoutCumulation": tried, "atBest": tried,
    }  # fmt: skip
    report = {
        "verdict": "PASSED", "on": AT, "origin": origin, "findings": [], "checks": [check],
        "country": {"country": "CN", "paragraph": "2.6"}, "proof": {"expires": AT},
    }  # fmt: skip
    given = {"digest": HEX, "status": "valid"}
    body = {"evaluation": report, "inputs": [given], "document": HEX, "number": "OE-1"}
    importlib.import_module("node.cli.origin")._print(body)


def _preflighted() -> None:
    preflight = importlib.import_module("node.cli.preflight")
    line = {"id": "PRE-01", "outcome": "PASSED", "blocking": False, "title": "检查", "about": ""}
    run = {
        "verdict": "PASSED", "destination": DID, "country": "NL", "ruleSet": "r", "lines": [line],
        "standing": None, "number": "PA-1", "document": HEX,
    }  # fmt: skip
    preflight._print_run(run)
    preflight._print_run(run | {"standing": {"asOf": AT, "lines": [line]}})
    difference = {"id": "PRE-01", "about": "", "subject": "s", "before": "", "after": "",
                  "title": "检查"}  # fmt: skip
    told = {"number": "PA-1", "issuer": DID, "advised": "PASSED", "found": "FAILED"}
    preflight._print_arrivals({"preAdvices": [told | {"differences": [difference]}]})


@pytest.mark.parametrize("shows", [_verify, _evaluated, _preflighted])
def test_no_report_shows_an_english_heading_in_chinese(
    shows: Callable[[], None], untold: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shows()
    assert _CHINESE.search(capsys.readouterr().out)
    assert untold == []
