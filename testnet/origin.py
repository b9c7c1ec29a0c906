"""Consignment B's origin: evaluated, signed, and held against now after an input was revoked.

RCEP by demonstration rules (dated data). The certification desk evaluates and signs, Singapore's
customs receives the evaluation and works it out again; each stands on the certificates it holds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from testnet.operator import eventually
from testnet.stage import Issued
from testnet.world import did

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testnet.run import Run

DESK, CUSTOMS, INPUT_DESK = "cn-cert", "sg-customs", "kr-cert"
FLAGGED: Final = 10.0
#: What stands on the Korean certificate at Singapore's customs, the decision taken on it included.
STANDING: Final = frozenset(
    {
        "back-to-back-certificate-of-origin",
        "customs-decision",
        "origin-evaluation",
        "preferential-certificate-of-origin",
    }
)
RULES: Final = "demonstration-hs2022"
_ISSUERS: Final = {"KR": "kr-cert", "VN": "vn-cert"}
_CONTENT, _SHIFT = "RCEP-030", "RCEP-020"


async def evaluated(run: Run, inputs: Sequence[Issued]) -> Issued:
    """The signed evaluation, verified at customs; its numbers are the story's."""
    stage = run.stage
    script = stage.consignment("B")["rvc"]
    question = _question(script, {item.number: item.digest for item in inputs})
    made = await stage.operators[DESK].post(
        "/v1/origin-evaluations",
        {"question": question, "sign": True, "consignment": stage.ucr("B")},
    )
    origin = made["evaluation"]["origin"]
    _case(run, "without_cumulation", origin["withoutCumulation"])
    _case(run, "with_cumulation", origin)
    signed = Issued(DESK, made["document"], made["number"], "origin-evaluation", "B")
    stage.issued.append(signed)
    stage.screen.say("issued", actor=DESK, document=signed.type, number=signed.number)
    await stage.send(signed, [CUSTOMS])
    stage.screen.step("B")
    return signed


async def basis_lost(run: Run, signed: Issued, korean: Issued) -> dict[str, Any]:
    """Korea's desk revokes its certificate: what both nodes then say of the signed evaluation.

    At the last node all that stands on it is flagged, whoever issued it: the certificate of the
    good, the one drawn on that one, and the decision taken on them.
    """
    operators, path = run.stage.operators, f"/v1/origin-evaluations/{signed.digest}"
    await operators[INPUT_DESK].post(
        f"/v1/documents/{korean.digest}/revoke", {"reason": "issued for cells of another maker"}
    )
    seen: dict[str, Any] = {}

    async def look() -> bool:
        for actor in (DESK, CUSTOMS):
            seen[actor] = await operators[actor].get(path)
        return all(found["basisLost"] == [korean.digest] for found in seen.values())

    flagged = await eventually(look, deadline=FLAGGED)
    shaken: set[str] = set()

    async def follow() -> bool:
        listed = (await operators[CUSTOMS].get("/v1/documents", limit="500"))["documents"]
        shaken.update(each["type"] for each in listed if each.get("basisLost"))
        return shaken >= STANDING

    all_of_them = await eventually(follow, deadline=FLAGGED)
    run.expectations.expect(
        "B: the lost basis reaches all that stands on it", bool(all_of_them), sorted(shaken)
    )
    _case(run, "if_KR_input_certificate_revoked", seen[CUSTOMS]["now"]["origin"])
    untouched = (await operators[CUSTOMS].get(f"/v1/documents/{signed.digest}"))["status"]
    return {
        "flagged": bool(flagged),
        "nodes": len(seen),
        "revoked": bool(untouched["revoked"]),
        "before": _percent(seen[CUSTOMS]["signed"]["origin"]),
        "now": _percent(seen[CUSTOMS]["now"]["origin"]),
    }


def _question(script: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "on": datetime.now(UTC).date().isoformat(),
        "currency": "USD",
        "exportingParty": "CN",
        "importingParty": "SG",
        "rulesEdition": RULES,
        "good": {
            "hs": "850760",
            "hsEdition": "HS2022",
            "producedIn": "CN",
            "fob": str(script["fob"]),
        },
        "materials": [_material(part, digests) for part in script["inputs"]],
        "operations": [{"name": "assembling", "simple": False}],
    }


def _material(part: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    line = {
        "id": part["part"],
        "hs": part["hs"],
        "value": str(part["value"]),
        "from": part["origin"],
        "origin": "originating" if part["coo"] else "non-originating",
    }
    if not part["coo"]:
        return line
    certificate = {
        "issuer": did(_ISSUERS[part["origin"]]),
        "number": part["coo"],
        "digest": digests[part["coo"]],
    }
    return line | {"certificate": certificate}


def _case(run: Run, name: str, tried: Mapping[str, Any]) -> None:
    """Holds one case against the script: regional value content, change of heading, verdict."""
    told = run.stage.consignment("B")["rvc"][name]
    percent, shift = _percent(tried), _test(tried, _SHIFT)["outcome"]
    passes = told["ctsh"].startswith("passes")
    wanted = (float(told["rvc"]), "PASSED" if passes else "FAILED")
    verdict = str(tried["verdict"])
    seen = (float(percent), shift)
    run.expectations.expect(f"B's origin {name}: RVC {told['rvc']}", seen == wanted, seen)
    run.expectations.expect(f"B's origin {name}: verdict", verdict == wanted[1], verdict)
    row = {"case": name, "rvc": percent, "ctsh": shift, "verdict": verdict}
    run.origin.append(row)
    case, outcome = run.word(f"origin_{name}"), run.word(f"outcome_{shift}")
    run.screen.say("origin", case=case, percent=percent, shift=outcome)


def _test(tried: Mapping[str, Any], rule: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(test for test in tried["tests"] if test["id"] == rule)
    return found


def _percent(tried: Mapping[str, Any]) -> str:
    return str(_test(tried, _CONTENT)["evidence"]["percent"])
