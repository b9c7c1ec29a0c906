"""PRF-02: over the VC-API a related resource that is held must have the digest that is signed."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from node.vc_api.resources import Resources
from node.vc_api.verifying import Verifier
from schemas.findings import Outcome
from tests.support.title_world import NOW

URL, BODY = "https://resource.example/terms", b"the terms"
SRI = "sha256-" + b64encode(sha256(BODY).digest()).decode()


@pytest.mark.parametrize(
    ("held", "outcome"),
    [
        ((BODY,), Outcome.PASSED),
        ((b"older terms", BODY), Outcome.PASSED),
        ((b"other terms",), Outcome.FAILED),
    ],
)
def test_prf_02_some_version_held_has_the_digest(held: tuple[bytes, ...], outcome: Outcome) -> None:
    request: Any = SimpleNamespace(options=SimpleNamespace(at=NOW))
    nothing: Any = None
    verifier = Verifier(request, NOW, nothing, Resources({URL: held}))
    members = {"relatedResource": {"id": URL, "digestSRI": SRI}}
    found: Any = SimpleNamespace(credential=SimpleNamespace(members=members))
    check = verifier._resources(found)
    assert check is not None
    assert (check.id, check.outcome) == ("PRF-02", outcome)
    found.credential.members = {}
    assert verifier._resources(found) is None
