"""Every shared vector of the credential layer is run by a named test, or says why it is not."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

import pytest

from protocols import keys
from tests.shared import ROOT, shared_path
from tests.support import vectors

#: Cases run, and cases that do not apply: a change of either is a decision, not an accident.
RUN, APART = 2996, 1581


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def base() -> Path:
    return shared_path("vectors/credentials").parent


def test_every_file_is_of_one_row_and_every_row_has_a_file() -> None:
    used: set[str] = set()
    for name, _ in vectors.all_files(base()):
        found = [row.pattern for row in vectors.rows_of(name)]
        assert len(found) == 1, (name, found)
        used.update(found)
    assert used == {row.pattern for row in vectors.TABLE}


@pytest.mark.parametrize("row", vectors.TABLE, ids=lambda row: row.pattern)
def test_every_row_names_tests_that_exist_or_a_reason(row: vectors.Row) -> None:
    assert row.tests or row.reason
    for test in row.tests:
        file, _, function = test.partition("::")
        names = functions(file)
        assert names if function == "*" else function in names, test


def test_the_counts_are_those_that_were_agreed_on() -> None:
    run = rest = 0
    for name, path in vectors.all_files(base()):
        (row,) = vectors.rows_of(name)
        done, left = row.count(path)
        assert not done or row.tests, name
        assert not left or row.reason, name
        run, rest = run + done, rest + left
    assert (run, rest) == (RUN, APART)


def test_the_index_lists_what_the_folders_hold() -> None:
    folder = base() / "credentials"
    listed = {
        vector["file"] for vector in json.loads((folder / "INDEX.json").read_text())["vectors"]
    }
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    rest = {name for name in held - listed if not name.startswith("contexts/")}
    keys_of = {f"vc-jose-cose/{path.name}" for path in folder.glob("vc-jose-cose/vm-*.json")}
    assert listed <= held
    assert rest == {"INDEX.json", "jws-hostile/_trusted_did_document.json", *keys_of}


def test_every_key_of_the_jose_and_cose_vectors_is_read() -> None:
    found = set()
    for path in (base() / "credentials/vc-jose-cose").glob("vm-*.json"):
        method = json.loads(path.read_text())
        jwk = {name: value for name, value in method["publicKeyJwk"].items() if name != "alg"}
        found.add(keys.from_stranger(method["id"], jwk).algorithm)
    assert found == {keys.ES256, keys.ES384, keys.ES512, keys.ED25519}
