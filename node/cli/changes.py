"""The options that say how the member list is to change, and their reading into the API's JSON.

`trust propose` and `trust sign` take the same ones. A time is RFC 3339, or a day, which counts from
its first moment in UTC. What has more to say than fits one word adds `;name=value` parts.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import MalformedError

TERM_DAYS = 365
RIGHT_HELP = "A right to issue, TYPE:COUNTRY[:OFFICE]; may be repeated."
CODE = "right_malformed"

Requests = Annotated[
    list[str] | None,
    typer.Option("--admit", help="Id of a join request to admit; may be repeated."),
]
Everything = Annotated[bool, typer.Option("--all", help="Admit all that wait.")]
Issuer = Annotated[
    list[str] | None,
    typer.Option(
        "--issuer",
        help="Grant TYPE:COUNTRY[:OFFICE] to the admitted (else to this node), or DID=…; "
        "';from=TIME', ';until=TIME', ';by=DID' (delegated by), ';for=IOPP,ILL' (ship "
        "certificates) may follow; may be repeated.",
    ),
]
GrantWanted = Annotated[
    bool, typer.Option("--grant-wanted", help="Grant the rights they asked for.")
]
AgreementOption = Annotated[
    list[str] | None,
    typer.Option(
        "--agreement",
        help="VERIFIER:ISSUER:TYPE,TYPE; ';id=', ';from=', ';until=', ';rules=', and of authorised "
        "operators ';aeo=AEOF,AEOS' and ';aeoroles=EXPORTER' may follow; may be repeated.",
    ),
]
EndKey = Annotated[
    list[str] | None,
    typer.Option("--end", help="KID[=TIME] of a key that ends, now or then; may be repeated."),
]
EndNode = Annotated[
    list[str] | None,
    typer.Option(
        "--end-node", help="DID[=TIME] of a member whose keys and rights end; may be repeated."
    ),
]
EndRight = Annotated[
    list[str] | None,
    typer.Option(
        "--end-right", help="DID=TYPE:COUNTRY[:OFFICE][=TIME] that ends; may be repeated."
    ),
]
EndAgreement = Annotated[
    list[str] | None,
    typer.Option("--end-agreement", help="ID[=TIME] that ends; may be repeated."),
]
Compromised = Annotated[
    list[str] | None,
    typer.Option(
        "--compromised", help="KID=TIME: a key in foreign hands since then; may be repeated."
    ),
]
RefuseAlgorithm = Annotated[
    list[str] | None,
    typer.Option(
        "--refuse-algorithm", help="ID=TIME: an algorithm refused from then on; may be repeated."
    ),
]
Anchor = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor",
        help="credential=DID=FILE, platform=CODE=FILE or timestamp=URL=FILE: a certificate (PEM) "
        "that chains may end at; may be repeated.",
    ),
]
ArbiterFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--arbiter",
        help="File of a title registry on a chain (arbiter deploy -o) to list; may be repeated.",
    ),
]
AnchorContractFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchor-contract",
        help="File of a contract for anchors and of a member's log in it (anchor deploy -o, "
        "anchor entry -o) to list; may be repeated.",
    ),
]
Witness = Annotated[
    list[str] | None,
    typer.Option("--witness", help="DID of a witness of all logs; may be repeated."),
]
Known = Annotated[
    list[str] | None,
    typer.Option(
        "--known-key",
        help="With --witness: a vkey without a vote, of a mirror or by ML-DSA-44 "
        "(log show); may be repeated.",
    ),
]
Quorum = Annotated[int | None, typer.Option("--quorum", help="Witnesses that must cosign.")]
Registry = Annotated[str, typer.Option("--registry", help="DID that sequences the title registry.")]
AddRoot = Annotated[
    list[Path] | None,
    typer.Option("--add-root", help="File of a new root key (trust new-root); may be repeated."),
]
RemoveRoot = Annotated[
    list[str] | None,
    typer.Option("--remove-root", help="Id of a root key that loses its vote; may be repeated."),
]
Threshold = Annotated[
    int | None, typer.Option("--threshold", help="How many roots must sign from then on.")
]
Edited = Annotated[
    Path | None,
    typer.Option("--list", help="A whole list, edited as JSON (trust show --list)."),
]
Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway",
        help="Even if a log or registry can then not reach its quorum: for emergencies.",
    ),
]
Days = Annotated[int, typer.Option("--days", help="Days until the new list expires.")]
Expires = Annotated[
    str | None, typer.Option("--expires", help="When it expires, instead of --days.")
]


def wish(**given: Any) -> dict[str, Any]:
    """The options as POST /v1/trust/propose and /v1/trust/sign take them; raises MalformedError."""
    body: dict[str, Any] = {
        "requests": given.get("requests") or [],
        "all": given.get("everything", False),
        "issuers": [read_right(text) for text in given.get("issuer") or []],
        "grantWanted": given.get("grant_wanted", False),
        "anyway": given.get("anyway", False),
        "agreements": [_agreement(text) for text in given.get("agreement") or []],
        "ends": _ends(given),
        "compromised": [_pair(text, "kid", "since") for text in given.get("compromised") or []],
        "algorithms": [_pair(text, "id", "until") for text in given.get("refuse_algorithm") or []],
        "anchors": [_anchor(text) for text in given.get("anchor") or []],
        "arbiters": [read_json_file(file) for file in given.get("arbiter") or []],
        "anchorContracts": [read_json_file(file) for file in given.get("anchor_contract") or []],
        "witnesses": given.get("witness") or [],
        "known": given.get("known_key") or [],
        "roots": _roots(given),
        "days": given.get("days", TERM_DAYS),
    }
    for name in ("quorum", "registry"):
        if given.get(name) not in (None, ""):
            body[name] = given[name]
    if given.get("expires") is not None:
        body["expires"] = moment(given["expires"])
    if given.get("edited") is not None:
        body["list"] = read_json_file(given["edited"])
    return {name: value for name, value in body.items() if value not in ([], {}, False)}


def _ends(given: dict[str, Any]) -> list[dict[str, Any]]:
    ends = [_end(text, "key") for text in given.get("end") or []]
    ends += [_end(text, "node") for text in given.get("end_node") or []]
    ends += [_end(text, "agreement") for text in given.get("end_agreement") or []]
    return ends + [_end_of_right(text) for text in given.get("end_right") or []]


def _end(text: str, what: str) -> dict[str, Any]:
    """NAME[=TIME]."""
    name, equals, until = text.partition("=")
    return {what: name, **({"until": moment(until)} if equals else {})}


def _end_of_right(text: str) -> dict[str, Any]:
    """DID=TYPE:COUNTRY[:OFFICE][=TIME]."""
    did, equals, rest = text.partition("=")
    right, timed, until = rest.partition("=")
    if not equals:
        raise MalformedError(CODE, "write did:web:agency.example=certificate-of-origin:CN")
    return {
        "did": did,
        "right": read_right(right),
        **({"until": moment(until)} if timed else {}),
    }


def _roots(given: dict[str, Any]) -> dict[str, Any]:
    roots: dict[str, Any] = {}
    if given.get("add_root"):
        roots["add"] = [read_json_file(file) for file in given["add_root"]]
    if given.get("remove_root"):
        roots["remove"] = given["remove_root"]
    if given.get("threshold") is not None:
        roots["threshold"] = given["threshold"]
    return roots


def read_right(text: str) -> dict[str, Any]:
    """TYPE:COUNTRY[:OFFICE], or DID=…, with ;from= ;until= ;by= ;for=, as the API takes it."""
    names = {
        "from": "validFrom",
        "until": "validUntil",
        "by": "delegatedBy",
        "for": "certificateTypes",
    }
    plain, parts = _parts(text, names)
    more: dict[str, Any] = {**parts}
    if "certificateTypes" in parts:
        more["certificateTypes"] = parts["certificateTypes"].split(",")
    did, equals, right = plain.rpartition("=")
    document_type, colon, place = right.partition(":")
    country, with_office, office = place.partition(":")
    if not colon or not document_type or not country or (equals and not did):
        raise MalformedError(CODE, "write certificate-of-origin:CN")
    named = {"did": did} if did else {}
    named |= {"documentType": document_type, "country": country}
    return {**named, **({"office": office} if with_office else {}), **more}


def _agreement(text: str) -> dict[str, Any]:
    """VERIFIER:ISSUER:TYPE,TYPE with ;id= ;from= ;until= ;rules= ;aeo= ;aeoroles=."""
    names = {
        "id": "id",
        "from": "validFrom",
        "until": "validUntil",
        "rules": "rules",
        "aeo": "aeoClasses",
        "aeoroles": "aeoRoles",
    }
    plain, more = _parts(text, names)
    parts = plain.split(":")
    if len(parts) != 3:
        raise MalformedError(CODE, "write NL:CN:certificate-of-origin")
    types = parts[2].split(",")
    lists = {
        name: value.split(",") if name in ("aeoClasses", "aeoRoles") else value
        for name, value in more.items()
    }
    return {"verifier": parts[0], "issuer": parts[1], "documentTypes": types, **lists}


def _anchor(text: str) -> dict[str, str]:
    """PURPOSE=SUBJECT=FILE as the API takes it: the file's one PEM certificate."""
    import ssl

    from node.verification.offline import read_capped
    from protocols.members.anchors import MAX_CERTIFICATE

    purpose, _, rest = text.partition("=")
    subject, equals, file = rest.rpartition("=")
    if not equals:
        raise MalformedError(CODE, "write credential=did:web:agency.example=root.pem")
    pem = read_capped(Path(file), 2 * MAX_CERTIFICATE).decode("ascii", "replace")
    try:
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError:
        raise MalformedError(CODE, f"{Path(file).name} is no PEM certificate") from None
    certificate = base64.b64encode(der).decode()
    return {"purpose": purpose, "subject": subject, "certificate": certificate}


def _parts(text: str, names: dict[str, str]) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, and the named parts after it."""
    plain, *parts = text.split(";")
    more: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or name not in names:
            raise MalformedError(CODE, f"after a semicolon stands one of {', '.join(names)}")
        more[names[name]] = moment(value) if name in {"from", "until"} else value
    return plain, more


def _pair(text: str, name: str, when: str) -> dict[str, str]:
    """NAME=TIME as the API takes it."""
    named, equals, at = text.rpartition("=")
    if not equals:
        raise MalformedError(CODE, "write NAME=2026-11-18T06:00:00Z")
    return {name: named, when: moment(at)}


def moment(text: str) -> str:
    """A time, or a day, as RFC 3339; raises MalformedError."""
    from protocols import times

    whole = f"{text}T00:00:00Z" if len(text) == 10 else text
    return times.to_text(times.from_text(whole, pointer="--time"))


def read_json_file(path: Path) -> dict[str, Any]:
    """A JSON object from a file, strictly; raises MalformedError `file_unreadable` and others."""
    from node.verification.offline import read_capped
    from protocols.members.trust import MAX_BYTES
    from schemas import strict_json

    members = strict_json.loads_object(read_capped(path, 2 * MAX_BYTES), max_bytes=2 * MAX_BYTES)
    plain: dict[str, Any] = json.loads(strict_json.canonical(members))
    return plain
