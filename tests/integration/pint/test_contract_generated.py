"""Requests that schemathesis makes of DCSA's files, right and wrong ones: no answer is unforeseen.

The transport document's own schema is half a megabyte; making it anew takes a second each time. So
most bodies carry the packaged bill in its place, and whole ones are made in the long form.
"""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans, composite, integers, sampled_from
from schemathesis import GenerationMode

from protocols.pint import signed
from tests.integration.pint import contract_world as c
from tests.integration.pint.test_contract_pint import told
from tests.support import contract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.pint.contract_world import Contract

EACH, EACH_LONG = 8, 120
WHOLE_LONG = 20
HEAVY = {"PINT": "TransportDocument", "ISS": "TransportDocument", "EBL": "TransportDocument"}
#: Who may call what; a stranger is told so, whatever is sent.
CALLERS = {
    "/v3/ebl-issuance-requests": "OUTC",
    "/v3/ebl-surrender-responses": "OUTC",
    "/v3/transport-document-notifications": "OUTC",
}
#: What stands in the place of something right.
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e300, 2**53 + 1, "", " ", "x", "\u0000", "x" * 5000, "0" * 64, "é", "ISSUE",
    "TRANSFER", "SACC", "SREJ", "SIGN", "SURRENDER_FOR_DELIVERY", "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59.999Z", "AWAY", "a.b.c", "https://ctr.example/v1", [], {}, [[]], [{}],
)  # fmt: skip
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def specification(api: str, *, whole: bool = False) -> dict[str, Any]:
    """The file; unless `whole`, with the packaged bill as the only transport document."""
    found = copy.deepcopy(contract.document(api))
    if api in HEAVY and not whole:
        found["components"]["schemas"][HEAVY[api]] = {"enum": [c.bill("TDR-GENERATED")]}
    return found


def cases(strategy: Any, count: int) -> list[Any]:
    """So many values of a strategy, the same in every run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def generated(api: str, count: int, *, whole: bool = False) -> Iterator[Any]:
    """Requests of every operation of a file, in both modes."""
    schema = schemathesis.openapi.from_dict(specification(api, whole=whole))
    for one in contract.operations():
        if one.api == api:
            for mode in MODES:
                made = schema[one.path][one.method]
                yield from cases(made.as_strategy(generation_mode=mode), count)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container within a JSON value, with each of its names or indexes."""
    names = value if isinstance(value, dict) else range(len(value))
    for name in names:
        yield value, name
        if isinstance(value[name], dict | list):
            yield from places(value[name])


@composite
def altered(draw: Any, right: Any) -> Any:
    """A JSON value with one to three of its members replaced or left out."""
    value = copy.deepcopy(right)
    for _ in range(draw(integers(1, 3))):
        holder, name = draw(sampled_from(list(places(value)) or [({"": 0}, "")]))
        if isinstance(holder, dict) and draw(booleans()):
            del holder[name]
        else:
            holder[name] = copy.deepcopy(draw(sampled_from(ODD)))
    return value


async def send(held: Contract, case: Any) -> None:
    """The request as it was made, to our node; its answer is held against the files."""
    path, parameters = case.path, case.path_parameters or {}
    for name, value in parameters.items():
        path = path.replace("{" + name + "}", str(value))
    try:
        contract.operation(case.method, path)
    except AssertionError:
        return  # An empty parameter makes another path.
    headers = {name: str(value) for name, value in (case.headers or {}).items()}
    headers = {name: value for name, value in headers.items() if _visible(value)}
    if case.media_type is not None:
        headers["Content-Type"] = case.media_type
    query = f"?{urlencode(case.query, doseq=True)}" if case.query else ""
    by = CALLERS.get(case.path, "OUTP")
    status, _ = await held.call(case.method, path + query, _body(case.body), by=by, **headers)
    assert status < 500


def _visible(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _body(value: Any) -> bytes | None:
    if isinstance(value, schemathesis.core.NotSet):
        return None
    if isinstance(value, bytes):
        return value
    try:
        return orjson.dumps(value)
    except (TypeError, UnicodeEncodeError):
        return repr(value).encode("utf-8", "replace")


@pytest.mark.parametrize("api", sorted(contract.FILES))
async def test_no_generated_request_gets_an_unforeseen_answer(api: str, tmp_path: Path) -> None:
    made = list(generated(api, EACH))
    assert len(made) > EACH
    async with c.contract(tmp_path) as held:
        for case in made:
            await send(held, case)


@pytest.mark.slow
@pytest.mark.parametrize("api", sorted(contract.FILES))
async def test_no_generated_request_gets_an_unforeseen_answer_in_the_long_run(
    api: str, tmp_path: Path
) -> None:
    made = list(generated(api, EACH_LONG))
    made += generated(api, WHOLE_LONG, whole=True) if api in HEAVY else []
    async with c.contract(tmp_path) as held:
        for case in made:
            await send(held, case)


async def test_no_signed_payload_gets_an_unforeseen_answer(tmp_path: Path) -> None:
    """What is inside the signatures, by a platform and a carrier whose signatures count."""
    count = EACH_LONG * 5 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else EACH * 5
    async with c.contract(tmp_path) as held:
        await told(held, held.outside)
        words = set()
        for name in ("entry", "manifest", "issuance"):
            right = _payloads(held, await c.with_account(held, "receiver"))
            for value in [right[name], *cases(altered(right[name]), count)]:
                body = _carrying(held, right | {name: value})
                status, answer = await held.call("POST", "/v3/envelopes", body)
                assert status < 500
                if isinstance(answer, str):
                    words.add(contract.payload(answer)["responseCode"])
        assert words >= {"RECE", "DUPE", "DISE", "BENV"}


def _payloads(held: Contract, receiver: dict[str, str]) -> dict[str, Any]:
    """What platform and carrier sign of a right envelope."""
    document = c.bill("TDR-GENERATED")
    checksum = c.w.checksum_of(document).hex()
    recipient = {"partyName": "r", "eblPlatform": c.PLATFORM, "identifyingCodes": [receiver]}
    issue = {
        "actionCode": "ISSUE",
        "actor": c.w.party("outside", c.OUTSIDE).to_json(),
        "recipient": recipient,
        "actionDateTime": "2026-11-18T06:00:00.000Z",
    }
    return {
        "entry": {
            "eblPlatform": c.OUTSIDE,
            "transportDocumentChecksum": checksum,
            "transactions": [issue],
        },
        "manifest": {"transportDocumentChecksum": checksum},
        "issuance": {"documentChecksum": checksum, "issueToChecksum": "ab" * 32},
    }


def _carrying(held: Contract, parts: dict[str, Any]) -> bytes:
    """The envelope with each part signed; a part that is altered names what the others are."""

    def sign(value: Any, **fitting: str) -> str:
        whole = fitting | value if isinstance(value, dict) else value
        return signed.sign(orjson.dumps(whole), signer=held.outside.signer)

    entry = sign(parts["entry"], issuanceManifestSignedContent=sign(parts["issuance"]))
    last = {"lastEnvelopeTransferChainEntrySignedContentChecksum": signed.checksum(entry).hex()}
    return orjson.dumps(
        {
            "transportDocument": c.bill("TDR-GENERATED"),
            "envelopeManifestSignedContent": sign(parts["manifest"], **last),
            "envelopeTransferChain": [entry],
        }
    )
