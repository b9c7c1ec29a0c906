"""The documentation is held to the code: what it lists is all there is, and all of it exists."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from node.daemon import SERVICES
from node.http.openapi import describe
from node.settings import Settings
from node.settings import describe as describe_settings
from schemas.catalogue import catalogue
from tests.shared import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_docs", ROOT / "scripts/generate_docs.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generator: Any = _generator()


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _as_toml(value: object) -> str:
    """How the configuration file writes it, without quotation marks."""
    return str(value).lower() if isinstance(value, bool) else str(value).replace("()", "[]")


@pytest.mark.parametrize("page", sorted(generator.pages()), ids=lambda page: page.name)
def test_generated_pages_are_as_make_docs_writes_them(page: Path) -> None:
    wanted = generator.pages()[page]
    assert page.read_text(encoding="utf-8") == wanted, "run `make docs`"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {row[0]: row for row in _rows(_text("operations.md"))}
    for setting in describe_settings(Settings()):
        row = rows[f"`{setting.name}`"]
        assert row[1].strip("`").strip('"') == _as_toml(setting.default)
        assert row[2] == setting.doc


def test_every_code_is_documented() -> None:
    listed = {row[0].strip("`") for row in _rows(_text("errors.md"))}
    assert set(catalogue()) <= listed


def test_every_command_is_documented() -> None:
    titles = set(re.findall(r"^## pratique (.+)$", _text("commands.md"), re.MULTILINE))
    assert titles == {name for name, _ in generator.command_tree()}


def test_commands_in_the_documentation_exist_with_their_options() -> None:
    commands = dict(generator.command_tree())
    groups = {name.rpartition(" ")[0] for name in commands if " " in name}
    groups |= {name.partition(" ")[0] for name in groups}
    for page in PAGES:
        for line in re.findall(r"`pratique ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
            words = line.split()
            name = words[0]
            for word in words[1:]:
                name = f"{name} {word}" if name in groups else name
            if name in groups:
                continue
            assert name in commands, f"{page.name}: pratique {line}"
            known = {option for param in commands[name].params for option in param.opts}
            asked = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
            assert asked <= known, f"{page.name}: pratique {line}"


def test_every_route_is_in_openapi_and_in_the_protocol() -> None:
    routes = generator.all_routes()
    described = describe(routes, "http://127.0.0.1")["paths"]
    documented = {row[0].strip("`") for row in _rows(_text("protocol.md"))}
    for route in routes:
        path = re.sub(r":[^/]*\}", "}", route.path)
        assert route.method.lower() in described[path]
        assert f"{route.method} {path}" in documented


def test_every_safety_rule_names_tests_that_exist_or_its_feature() -> None:
    tests = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        tests |= set(re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8")))
    rules = {row[0]: row for row in _rows(_text("security.md")) if re.fullmatch(r"R\d+", row[0])}
    assert sorted(rules, key=lambda rule: int(rule[1:])) == [f"R{n}" for n in range(1, 28)]
    for rule, row in rules.items():
        named = set(re.findall(r"`(test_\w+)`", row[3]))
        assert named <= tests, f"{rule} names {sorted(named - tests)}"
        assert named or row[3].startswith("comes with"), rule
        assert all(name.startswith(f"test_{rule.lower()}_") for name in named), rule


def test_the_table_of_services_lists_what_a_node_is_composed_of() -> None:
    table = _text("architecture.md").split("| service | does |")[1].split("\n\n")[0]
    listed = [name for row in _rows(table) for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(listed) == sorted(name for name, _, _ in SERVICES)


def test_every_rule_that_a_test_names_is_a_rule() -> None:
    rules = {row[0].lower() for row in _rows(_text("security.md"))}
    for file in (ROOT / "tests").rglob("test_*.py"):
        for rule in re.findall(r"def test_(r\d+)_", file.read_text(encoding="utf-8")):
            assert rule in rules, file.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_are_there(page: Path) -> None:
    for named in re.findall(r"`(\w+/[\w/]*\w+\.py)`", page.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), named


def test_the_index_of_decisions_lists_every_page() -> None:
    pages = {file.name for file in (DOCS / "adr").glob("0*.md")}
    listed = re.findall(r"\]\((0[^)]+)\)", _text("adr/README.md"))
    assert sorted(listed) == sorted(pages)
    numbers = [name[:4] for name in sorted(pages)]
    assert numbers == [f"{n:04d}" for n in range(1, len(pages) + 1)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))  # code may look like a link
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.is_file(), f"{page.name} → {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(title) for title in titles}, f"{page.name} → {target}"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_paths_named_in_the_documentation_exist() -> None:
    places = [
        ROOT, *(ROOT / name for name in ("protocols", "ledger", "node", "schemas", "testnet")),
    ]  # fmt: skip
    pattern = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|json|sh|lock|toml))`")
    for page in PAGES:
        for name in pattern.findall(page.read_text(encoding="utf-8")):
            assert any((place / name).is_file() for place in places), f"{page.name}: {name}"


def test_pages_stay_free_of_anything_but_the_product() -> None:
    foreign = re.compile(r"/work/|/root/|/tmp/|\bprompt|\bLLM\b|\bsandbox", re.IGNORECASE)
    for page in PAGES:
        assert not foreign.search(page.read_text(encoding="utf-8")), page.name


def test_every_gauge_is_documented() -> None:
    from node.vitals import GAUGES

    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in GAUGES if f"`{name}`" not in text] == []
