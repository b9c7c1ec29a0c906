#!/usr/bin/env python3
"""Runs the W3C's own test suites against a fresh node in VC-API mode, and counts.

    scripts/w3c_suites.py SUITES --contexts CONTEXTS [--resources RESOURCES] [--only NAME ...]

SUITES holds checkouts of the suites with their npm packages installed, each in a folder of its
repository's name; CONTEXTS the JSON-LD context files that an operator imports, with `index.json`
(URL → file); RESOURCES related resources retrieved before (docs/vc-api.md). The node's home is a
temporary folder; only each suite's `localConfig.cjs` is written. Exit code 1 when a test fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
NAME = "Pratique"
START_SECONDS = 30.0
RUN_SECONDS = 600.0
CALL_SECONDS = 30.0
SUITES = ("vc-data-model-2.0", "vc-di-eddsa", "vc-di-ecdsa", "vc-bitstring-status-list",
          "vc-jose-cose")  # fmt: skip
VERSIONS = {"vc": ["1.1", "2.0"]}
KEY_TYPES = {"p-256": "P-256", "p-384": "P-384"}
#: The suite for JOSE and COSE runs `docker compose run … NAME issue|verify …`: this script answers.
AS_DOCKER = "--as-docker"
ENDPOINT = "PRATIQUE_VC_API"


def main() -> int:
    """Starts the node, runs the suites, prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("suites", type=Path)
    parser.add_argument("--contexts", type=Path, required=True)
    parser.add_argument("--resources", type=Path)
    parser.add_argument("--only", nargs="*", default=SUITES, choices=SUITES)
    asked = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pratique-w3c-") as folder:
        home = Path(folder) / "home"
        with running_node(home, asked.contexts, asked.resources) as url:
            for name in asked.only:
                counts = run_suite(asked.suites / f"{name}-test-suite", name, url, Path(folder))
                failed += show(name, counts)
    return 1 if failed else 0


def show(name: str, found: dict[str, Any]) -> int:
    """One line for the suite, one for each test that did not pass; how many failed."""
    stats = found["stats"]
    passed, failed, pending = (stats[one] for one in ("passes", "failures", "pending"))
    print(f"{name}: {passed} passed, {failed} failed, {pending} pending", flush=True)
    for test in found["failures"]:
        print(f"  failed   {test['fullTitle']}: {test['err'].get('message', '')[:300]!r}")
    for test in found["pending"]:
        print(f"  pending  {test['fullTitle']}")
    return int(failed)


# -- the node ------------------------------------------------------------------------------------


@contextmanager
def running_node(home: Path, contexts: Path, resources: Path | None) -> Iterator[str]:
    """A fresh node in VC-API mode, in no network; the base URL of its VC-API."""
    command("init", str(home), "--did", "did:web:w3c.example", "--name", "Conformance",
            "--role", "issuer", "--country", "NL")  # fmt: skip
    settings = home / "pratique.toml"
    chosen = ["[vc_api]", "enabled = true", "port = 0"]
    if resources is not None:
        chosen.append(f"resources = {json.dumps(str(resources.resolve()))}")
    text = re.sub(r"(?m)^port = \d+$", "port = 0", settings.read_text())
    settings.write_text("\n".join([text, *chosen, ""]))
    for url, file in json.loads((contexts / "index.json").read_text()).items():
        import_context(home, url, contexts / file)
    log = home / "node.log"
    with log.open("w") as told:
        node = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-m", "node.cli.main", "node", "run", "--home", str(home)],
            cwd=ROOT, stderr=told,
        )  # fmt: skip
        try:
            yield wait_for(log, node)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(START_SECONDS)


def import_context(home: Path, url: str, file: Path) -> None:
    """Import a file as the operator would: what is no well-known context, by its own digest."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    command("contexts", "import", str(file), "--url", url, "--sha256", digest, "--home", str(home))


def command(*arguments: str) -> None:
    """One command of the node's program; raises CalledProcessError when it fails."""
    run = [sys.executable, "-m", "node.cli.main", *arguments]
    subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 our own words


def wait_for(log: Path, node: subprocess.Popen[bytes]) -> str:
    """The URL that the node logs when its VC-API listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and node.poll() is None:
        for line in log.read_text().splitlines():
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == "vc_api.started":
                return str(told["url"])
        time.sleep(0.1)
    raise RuntimeError(f"the node did not start:\n{log.read_text()[-4000:]}")


def call(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of a request; the certificate is self-signed and on loopback."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - https, to loopback
        url, data, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(  # noqa: S310 to loopback
            request, timeout=CALL_SECONDS, context=trusting
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# -- the suites ----------------------------------------------------------------------------------


def run_suite(place: Path, name: str, url: str, scratch: Path) -> dict[str, Any]:
    """Mocha's JSON report of a suite."""
    config = json.dumps({"settings": {}, "implementations": [manifest(url, name)]}, indent=1)
    (place / "localConfig.cjs").write_text(f"module.exports = {config};\n")
    report = scratch / f"{name}.json"
    environment = {**os.environ, ENDPOINT: url, "PATH": f"{docker(scratch)}:{os.environ['PATH']}"}
    run = ["npx", "mocha", "tests/", "--reporter", "json", "--reporter-option",
           f"output={report}", "--timeout", "15000", "--preserve-symlinks", "--exit"]  # fmt: skip
    with (scratch / f"{name}.log").open("w") as log:
        subprocess.run(  # noqa: S603 our own words
            run, cwd=place, env=environment, stdout=log, stderr=log, timeout=RUN_SECONDS,
            check=False,
        )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"{name} did not run:\n{(scratch / f'{name}.log').read_text()[-4000:]}")
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def manifest(url: str, suite: str) -> dict[str, Any]:
    """What a suite is told of this implementation."""
    _, told = call(f"{url}/issuers")
    by_path = {one["path"]: one["id"] for one in told["issuers"]}
    issuers, verifiers, presented = [], [], []
    for path, tags, key, options in ENDPOINTS[suite]:
        common = {"id": by_path[path], "tags": tags, "supports": VERSIONS}
        if key is not None:
            common["supportedEcdsaKeyTypes"] = [KEY_TYPES[key]]
        issue = f"{url}{path}/credentials/issue"
        issuers.append({**common, "endpoint": issue, "options": options})
        verifiers.append({**common, "endpoint": f"{url}{path}/credentials/verify"})
        presented.append({**common, "endpoint": f"{url}{path}/presentations/verify"})
    if suite == "vc-di-ecdsa":
        # Verifiers take keys of both kinds: one that says so stands for all.
        verifiers = [{**one, "supportedEcdsaKeyTypes": list(KEY_TYPES.values())}
                     for one in verifiers if "/p-256/" in one["endpoint"]]  # fmt: skip
    features = ("credential_jose", "credential_sdjwt", "credential_cose",
                "presentation_jose", "presentation_sdjwt", "presentation_cose")  # fmt: skip
    return {
        "name": NAME,
        "implementation": NAME,
        "issuers": issuers,
        "verifiers": verifiers,
        "vpVerifiers": presented,
        **({"jose-cose": {"features": dict.fromkeys(features, True)}}
           if suite == "vc-jose-cose" else {}),
    }  # fmt: skip


_STATUS = {"credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}}
#: Suite → path of a family, the suite's tags for it, the kind of key where it asks, options.
ENDPOINTS: dict[str, list[tuple[str, list[str], str | None, dict[str, Any]]]] = {
    "vc-data-model-2.0": [
        ("/eddsa-jcs-2022/ed25519", ["vc2.0"], None, {}),
        ("/jose/p-256", ["EnvelopingProof"], None, {}),
    ],
    "vc-di-eddsa": [
        ("/eddsa-rdfc-2022/ed25519", ["eddsa-rdfc-2022"], None, {}),
        ("/eddsa-jcs-2022/ed25519", ["eddsa-jcs-2022"], None, {}),
    ],
    "vc-di-ecdsa": [
        (f"/{suite}/{key}", [suite], key, {})
        for suite in ("ecdsa-rdfc-2019", "ecdsa-jcs-2019")
        for key in KEY_TYPES
    ],
    "vc-bitstring-status-list": [
        ("/ecdsa-jcs-2019/p-256", ["BitstringStatusList"], None, _STATUS),
    ],
    "vc-jose-cose": [],
}


# -- the suite for JOSE and COSE -----------------------------------------------------------------


def docker(scratch: Path) -> Path:
    """A folder whose `docker` is this script."""
    folder = scratch / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {AS_DOCKER} "$@"\n')
    program.chmod(0o755)
    return folder


def as_docker(arguments: list[str]) -> int:
    """One call of the suite: issue or verify a file of its, and write down what came of it."""
    action = next(one for one in arguments if one in ("issue", "verify"))
    asked = dict(pairwise(arguments))
    # The suite names paths as they are in a container; the working directory is the suite's.
    files = {name: Path(asked[name].lstrip("/")) for name in ("--input", "--key", "--output")}
    method = json.loads(files["--key"].read_text())
    kind, form = asked["--feature"].split("_")
    text = files["--input"].read_text().strip()
    if action == "issue":
        pointers = [pointer(one) for one in json.loads(asked.get("--sd", "[]"))]
        status, answer = issue(kind, form, json.loads(text), method, pointers)
    else:
        status, answer = verify(kind, text, method, files["--key"].parent)
    result = "success" if status in (200, 201) else "failure"
    files["--output"].write_text(json.dumps({"result": result, "data": json.dumps(answer)}))
    return 0


def pointer(path: str) -> str:
    """`a.b[0]` as a JSON pointer."""
    return "/" + re.sub(r"\[(\d+)\]", r".\1", path).replace(".", "/")


def issue(
    kind: str, form: str, document: Any, method: dict[str, Any], pointers: list[str]
) -> tuple[int, Any]:
    """Issue with the node's own key of the kind the suite gave; P-384 stands in for P-521."""
    family = {"jose": "jose", "sdjwt": "sd-jwt", "cose": "cose"}[form]
    keys = {"P-256": "p-256", "P-384": "p-384", "P-521": "p-384", "Ed25519": "ed25519"}
    url = f"{os.environ[ENDPOINT]}/{family}/{keys[method['publicKeyJwk']['crv']]}/{kind}s/issue"
    return call(url, {kind: document, "options": {"conceal": pointers}})


def verify(kind: str, text: str, method: dict[str, Any], keys: Path) -> tuple[int, Any]:
    """Verify with the key the suite gave, and for what is contained with all its keys.

    Its recorded presentations expired in 2024, so they are judged at the moment they were made;
    one has a placeholder for a credential, so for presentations the outermost proof is asked.
    """
    methods = [json.loads(file.read_text()) for file in sorted(keys.glob("vm-*.json"))]
    options: dict[str, Any] = {
        "verificationMethods": [{name: one[name] for name in ("id", "type", "controller",
                                 "publicKeyJwk")} for one in methods],
        "verificationMethod": method["id"],
    }  # fmt: skip
    if kind == "presentation":
        options["checks"] = ["proof"]
    if (made := issued_at(text)) is not None:
        options["at"] = made
    name = "verifiableCredential" if kind == "credential" else "verifiablePresentation"
    document: Any = json.loads(text) if text.startswith("{") else text
    url = f"{os.environ[ENDPOINT]}/jose/p-256/{kind}s/verify"
    return call(url, {name: document, "options": options})


def issued_at(text: str) -> str | None:
    """The moment in a JWT's `iat`, where that is a number as it should be."""
    import base64

    parts = text.split("~")[0].split(".")
    if len(parts) != 3:
        return None
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    made = claims.get("iat")
    if not isinstance(made, int):
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made + 1))


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_DOCKER]:
        sys.exit(as_docker(sys.argv[2:]))
    sys.exit(main())
