"""The pure core does its work with sockets, files, clocks and randomness taken away (DESIGN §2).

In a process of its own: the packages are imported, then everything they must not touch is
replaced by something that raises, then they verify, read and refuse for real.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCK = """
import importlib, pkgutil, sys
import schemas, protocols

def modules(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        yield importlib.import_module(found.name)

loaded = [*modules(schemas), *modules(protocols)]

# Package data is read once, through importlib.resources, before anything is judged.
from schemas.catalogue import catalogue
catalogue()

import builtins, io, os, random, secrets, socket, time

def refuse(*args, **kwargs):
    raise AssertionError("the pure core reached outside")

real_open = builtins.open
allowed = tuple(str(p) for p in schemas.__path__)

def package_data_only(file, mode="r", *args, **kwargs):
    if str(file).startswith(allowed) and set(mode) <= set("rbt"):
        return real_open(file, mode, *args, **kwargs)
    refuse()

builtins.open = io.open = package_data_only
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
os.urandom = os.open = os.getrandom = refuse
random.random = secrets.token_bytes = refuse
time.time = time.time_ns = time.monotonic = refuse
"""

WORK = """
from datetime import UTC, datetime
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from protocols import digest, jws, keys, times
from protocols.log import merkle
from schemas import strict_json, strict_xml
from schemas.errors import MalformedError

for private in (
    ec.derive_private_key(7, ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
):
    signer = keys.SoftwareSigner("did:web:a.example#credential-1", private)
    signed = jws.parse(jws.sign(b"{}", typ="vc+jwt", signer=signer), typ="vc+jwt")
    jws.verify(signed, signer.public())
assert times.from_text(times.to_text(datetime(2026, 1, 1, tzinfo=UTC))).year == 2026
assert strict_json.loads(b'{"a":[1,2]}') == {"a": [1, 2]}
assert strict_xml.parse(b"<a><b/></a>").tag == "a"
for hostile in (
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x"><a/>',
    b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"',
):
    try:
        strict_xml.parse(hostile)
    except MalformedError:
        continue
    raise SystemExit("hostile XML was taken")
print("done")
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_core_works_with_socket_open_clock_and_randomness_blocked() -> None:
    done = run(BLOCK + WORK)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@pytest.mark.parametrize(
    "reach", ["open('/etc/passwd')", "socket.socket()", "time.time()", "os.urandom(1)"]
)
def test_the_block_itself_holds(reach: str) -> None:
    assert "the pure core reached outside" in run(BLOCK + reach).stderr
