"""`pratique schema list|show|example|validate|convert`: the document types, outside any node."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from node.cli import output
from node.cli.options import JsonOption
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from schemas.findings import Finding
    from schemas.view import Examination

MAX_FILE = 16 * 1024 * 1024
CHED = "ched"
TypeArgument: TypeAlias = Annotated[
    str, typer.Argument(help="A type's key, e.g. bill-of-lading.", show_default=False)
]
FileArgument: TypeAlias = Annotated[
    Path, typer.Argument(help="A document: JSON or XML.", exists=True, dir_okay=False)
]
TypeOption: TypeAlias = Annotated[
    str | None, typer.Option("--type", help="Its type, where the file does not tell.")
]
OutputOption: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", help="The file to write.")
]


class Target(StrEnum):
    """What a document is converted to."""

    D23B = "d23b"
    PROFILE = "profile"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        help="Document types: their members, rules, samples and D23B forms.", no_args_is_help=True
    )
    group.command("list")(list_types)
    group.command("show")(show)
    group.command("example")(example)
    group.command("validate")(validate)
    group.command("convert")(convert)
    app.add_typer(group, name="schema")


def list_types(as_json: JsonOption = False) -> None:
    """List the document types: key, UNTDID 1001 code, format, D23B document, and who issues it."""
    from dataclasses import asdict

    from interop.uncefact import TABLES
    from schemas import registry

    types = list(registry.document_types().values())
    d23b = {key: table.snapshot for key, table in TABLES.items()}
    if as_json:
        output.print_json([asdict(one) | {"d23b": d23b.get(one.key)} for one in types])
        return
    chinese = output.lang() == "zh"
    rows = [
        (
            one.key,
            one.code,
            one.name_zh if chinese else one.name_en,
            one.media_type.removeprefix("application/"),
            d23b.get(one.key, ""),
            ", ".join(one.issuer_roles),
        )
        for one in types
    ]
    columns = ("type", "code", "name", "format", "D23B", "issued by")
    output.table("Document types", columns, rows)


def show(
    document_type: TypeArgument,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print the JSON Schema itself, in one piece.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one type: its members, which of them must be there, and its numbered rules."""
    from schemas import describe, profiles, registry

    kind = registry.get(document_type)
    is_json = kind.media_type == "application/json"
    if profile and not is_json:
        raise RefusedError(
            "no_json_schema", "this type is XML of UN/CEFACT SPS and has no JSON Schema"
        )
    if profile:
        output.print_json(profiles.bundle(document_type))
        return
    members = describe.members(document_type) if is_json else ()
    rules = _rules(document_type)
    if as_json:
        listed = [{"place": m.place, "required": m.required, "form": m.form} for m in members]
        output.print_json({"type": kind.key, "code": kind.code, "members": listed, "rules": rules})
        return
    named = [("code", kind.code), ("format", kind.media_type), ("name", kind.name(output.lang()))]
    output.pairs(kind.key, named)
    if members:
        rows = [(m.place, "yes" if m.required else "", m.form) for m in members]
        output.table("Members", ("member", "required", "form"), rows)
    told = [(one["id"], one["severity"], one["sentence"]) for one in rules]
    output.table("Rules", ("rule", "severity", "what it asks"), told)


def _rules(document_type: str) -> list[dict[str, str]]:
    """Id, severity and sentence of every rule of a type."""
    from schemas import registry
    from schemas.catalogue import explain

    return [
        {
            "id": rule.id,
            "severity": rule.severity.value,
            "sentence": entry.sentence(output.lang()) if (entry := explain(rule.id)) else "",
        }
        for rule in registry.rules_of(document_type).values()
    ]


def example(document_type: TypeArgument, out: OutputOption = None) -> None:
    """Write a sample document: fictional, complete, and without a finding."""
    from schemas import registry

    _write(registry.example(document_type), out)


def validate(
    file: FileArgument,
    document_type: TypeOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="The moment that matters (RFC 3339): windows, expiry."),
    ] = None,
    held: Annotated[
        list[Path] | None,
        typer.Option("--held", help="An SPS certificate that came before; repeat it.", exists=True),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check one document against its profile and its rules; no signature, no node, no network.

    An SPS certificate may be XML of either generation, base64 of it, an envelope of the IPPC hub,
    or the JSON of a CHED, of which the form is asked only.
    """
    from schemas import registry
    from schemas.findings import Severity

    payload = _unpacked(_read(file))
    key = document_type or registry.detect(payload) or _ched(payload)
    if key is None:
        raise RefusedError("unknown_document_type", "the file is of no type we know; name its type")
    examination = _examined(key, payload)
    findings = [*examination.findings, *_on_the_day(key, payload, at)]
    findings += _beside(examination, held or [])
    failed = any(one.severity is Severity.ERROR for one in findings)
    if as_json:
        output.print_json(
            {
                "type": key,
                "verdict": "FAILED" if failed else "PASSED",
                "view": examination.view.to_json(),
                "findings": [one.to_json() for one in findings],
            }
        )
    else:
        rows = [(one.rule, one.severity.value, one.pointer, one.message) for one in findings]
        said = [("type", key), ("number", examination.view.number)]
        output.pairs("FAILED" if failed else "PASSED", said)
        if rows:
            output.table("Findings", ("rule", "severity", "place", "what is wrong"), rows)
    raise typer.Exit(output.ExitCode.FAILED if failed else output.ExitCode.OK)


def _unpacked(payload: bytes) -> bytes:
    """The certificate inside the hub's envelope or inside base64; anything else as it is."""
    from interop import ephyto_hub
    from schemas import strict_xml

    start = payload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<" and strict_xml.local_name(strict_xml.parse(payload)) == "Envelope":
        return ephyto_hub.read_envelope(payload).certificate
    if start in (b"<", b"{", b"[", b""):
        return payload
    return ephyto_hub.content_bytes(payload.decode("ascii", "replace"))


def _ched(payload: bytes) -> str | None:
    from schemas import strict_json
    from schemas.sps import ched

    document = strict_json.loads_object(payload) if payload.lstrip()[:1] == b"{" else {}
    return CHED if ched.recognises(document) else None


def _examined(key: str, payload: bytes) -> Examination:
    from schemas import registry
    from schemas.sps import ched, official
    from schemas.view import Examination

    if key != CHED:
        return registry.examine(key, payload)
    fields, findings = ched.examine(payload)
    return Examination(official.view_of(fields, key), findings)


def _beside(examination: Examination, held: list[Path]) -> tuple[Finding, ...]:
    """Rules about a certificate and those that came before it."""
    from schemas import sps
    from schemas.sps.pairs import pair_findings

    facts = [sps.examine(_unpacked(_read(one)))[0]["facts"] for one in held]
    return pair_findings(examination.view.facts, facts) if held else ()


def _on_the_day(key: str, payload: bytes, at: str | None) -> tuple[Finding, ...]:
    """What is wrong at a moment: a ship certificate's standing, an issue in the future (now)."""
    from schemas import registry, sps, strict_json
    from schemas.documents.ship_certificate import TYPE
    from schemas.documents.ship_certificate.standing import standing
    from schemas.fields import instant

    moment = datetime.now(UTC) if at is None else instant(at)
    if moment is None:
        raise MalformedError("time_unreadable", "--at takes an RFC 3339 moment with its zone")
    if key == TYPE.key and at is not None:
        return standing(strict_json.loads_object(payload), moment)
    if key == CHED or registry.get(key).media_type != registry.XML:
        return ()
    known = sps.judge(payload)
    return tuple(one for one in sps.judge(payload, at=moment) if one not in known)


def convert(
    file: FileArgument,
    to: Annotated[Target, typer.Option("--to", help="The other form of the same document.")],
    document_type: TypeOption = None,
    extended: Annotated[
        bool,
        typer.Option(
            "--extended", help="Take along what D23B has no member for, as its extension."
        ),
    ] = False,
    out: OutputOption = None,
) -> None:
    """Convert between a profile and the UN/CEFACT D23B JSON of the same document.

    What the other form has no member for is told on standard error, by JSON pointer.
    """
    from interop import uncefact
    from schemas import registry, strict_json

    payload = _read(file)
    left: tuple[str, ...]
    if to is Target.D23B:
        mapped = uncefact.to_d23b(
            _known(document_type or registry.detect(payload)), payload, extended=extended
        )
        data, left = _pretty(mapped.document), mapped.left_behind
    else:
        document = strict_json.loads_object(payload)
        made = uncefact.from_d23b(_known(document_type or uncefact.guess(document)), document)
        data, left = made.payload, made.left_behind
    _write(data, out)
    for place in left:
        output.progress(f"left behind: {place}")


def _known(key: str | None) -> str:
    if key is None:
        raise RefusedError("unknown_document_type", "the file is of no type we know; name its type")
    return key


def _pretty(document: dict[str, Any]) -> bytes:
    import json

    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _read(file: Path) -> bytes:
    if file.stat().st_size > MAX_FILE:
        raise TooLargeError("json_too_large", f"more than {MAX_FILE} bytes")
    return file.read_bytes()


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(data)
        output.progress(f"{len(data)} bytes written to {out}")
