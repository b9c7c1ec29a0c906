#!/usr/bin/env python3
"""Compiles the Vyper contracts in an environment of its own, or checks what is committed.

    scripts/compile_contracts.py            writes ledger/contracts/*.json
    scripts/compile_contracts.py --check    fails unless compiling again gives the same bytes

The compiler and all it stands on are pinned by hash (ledger/contracts/requirements.lock). The
environment is `.venv-vyper`, made once per lock file.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "ledger" / "contracts"
LOCK = CONTRACTS / "requirements.lock"
HOME = ROOT / ".venv-vyper"
NAMES = ("AnchorRegistry", "TitleRegistry")
FORMATS = ("abi", "bytecode", "bytecode_runtime", "layout")
SECONDS = 300


def run(*command: str | Path, folder: Path = CONTRACTS) -> str:
    """The output of a command; what it complains of goes to the terminal."""
    done = subprocess.run(  # noqa: S603 our own words
        [str(part) for part in command],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout


def compiler() -> Path:
    """The pinned compiler, installed when the lock file is new."""
    pip = (HOME / "bin" / "pip", "--disable-pip-version-check", "install", "-q")
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two checks at once one installs it, the other waits
        digest, mark = hashlib.sha256(lock.read()).hexdigest(), HOME / "lock.sha256"
        if not mark.exists() or mark.read_text() != digest:
            venv.create(HOME, clear=True, with_pip=True)
            run(*pip, "--require-hashes", "--no-deps", "-r", LOCK)
            mark.write_text(digest)
    return HOME / "bin" / "vyper"


def artefact(vyper: Path, folder: Path, name: str) -> bytes:
    """The committed form of one contract: sorted JSON."""
    source = f"{name}.vy"
    abi, creation, runtime, layout = run(
        vyper, "-f", ",".join(FORMATS), source, folder=folder
    ).splitlines()
    immutables = json.loads(layout).get("code_layout", {})
    made: dict[str, Any] = {
        "contract": name,
        "compiler": "vyper " + run(vyper, "--version").strip(),
        "source_sha256": hashlib.sha256((folder / source).read_bytes()).hexdigest(),
        "abi": json.loads(abi),
        "bytecode": creation,
        "runtime": runtime,
        # Immutables lie behind the runtime code: name -> offset of its 32 bytes.
        "immutables": {key: value["offset"] for key, value in immutables.items()},
    }
    return (json.dumps(made, indent=1, sort_keys=True) + "\n").encode()


def main() -> int:
    """Compile all; 0, or 1 when a check finds another result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--folder", type=Path, default=CONTRACTS, help="where the sources are")
    asked = parser.parse_args()
    vyper, different = compiler(), []
    for name in NAMES:
        made, path = artefact(vyper, asked.folder, name), asked.folder / f"{name}.json"
        if not asked.check:
            path.write_bytes(made)
        elif not path.exists() or path.read_bytes() != made:
            different.append(path.name)
    for item in different:
        print(f"{item} is not what its source compiles to. next: make contracts", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
