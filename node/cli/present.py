"""`pratique present FILE`: a document shown in part, perhaps signed for one verifier.

Works on files alone, without a node: the holder of a document need not run one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import output
from node.cli.options import JsonOption

if TYPE_CHECKING:
    from protocols.credentials.sd_jwt import SdJwt
    from protocols.keys import SoftwareSigner

MAX_KEY_BYTES = 10_000


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("present")(present)


def present(
    file: Annotated[Path, typer.Argument(help="A document issued with --disclosable.")],
    disclose: Annotated[
        list[str] | None,
        typer.Option("--disclose", help="Show this member (JSON pointer); may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The holder's private key (PEM), to bind it.")
    ] = None,
    audience: Annotated[str, typer.Option(help="With --key: the verifier it is for.")] = "",
    nonce: Annotated[str, typer.Option(help="With --key: the challenge it gave.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show a document with only the members named; without -o, list what can be named.

    Members that cannot be withheld always show. With --key, --audience and --nonce the holder signs
    the presentation for that verifier.
    """
    from node.verification.offline import read_capped
    from protocols.credentials import countersignature, forms, sd_credential
    from protocols.credentials.credential import MAX_FILE_BYTES
    from schemas.errors import MalformedError

    data = read_capped(file, MAX_FILE_BYTES).strip()
    if not forms.is_selective(data):
        raise MalformedError("not_disclosable_form", f"{file.name} has no disclosable members")
    shown = sd_credential.present(data, disclose or [])
    if out is None and not disclose:
        _list(data, as_json=as_json)
        return
    if key is not None:
        shown = _bound(shown, _signer(key), audience, nonce)
    told = sd_credential.open_file(shown.text.encode("ascii")).presentation
    assert told is not None
    if out is not None:
        # Who takes a document on, takes its issuer's second signature with it.
        second = countersignature.split(data)[1]
        out.write_bytes(countersignature.join(shown.text.encode("ascii"), second))
    if as_json:
        lists = {"disclosed": list(told.disclosed), "withheld": list(told.withheld)}
        output.print_json({**lists, "presentation": shown.text})
    elif out is None:
        output.line(shown.text)
    else:
        output.progress(f"{len(told.disclosed)} shown, {len(told.withheld)} withheld: {out}")


def _list(data: bytes, *, as_json: bool) -> None:
    from protocols.credentials import sd_credential

    held = sd_credential.open_file(data).presentation
    assert held is not None
    if as_json:
        output.print_json({"disclosable": list(held.disclosed), "withheld": list(held.withheld)})
        return
    output.table("Disclosable members", ("place",), [(place,) for place in held.disclosed])


def _bound(shown: SdJwt, signer: SoftwareSigner, audience: str, nonce: str) -> SdJwt:
    from datetime import UTC, datetime

    from protocols.credentials import key_binding
    from schemas.errors import SettingsError

    if not audience or not nonce:
        raise SettingsError("key_binding_incomplete", "--key needs --audience and --nonce")
    challenge = key_binding.Challenge(audience, nonce)
    return key_binding.bind(shown, challenge, at=datetime.now(UTC), signer=signer)


def _signer(path: Path) -> SoftwareSigner:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from node.verification.offline import read_capped
    from protocols.keys import SoftwareSigner
    from schemas.errors import MalformedError

    try:
        private = load_pem_private_key(read_capped(path, MAX_KEY_BYTES), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedError("key_malformed", f"{path.name} is no PEM private key") from None
    if not isinstance(private, EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise MalformedError("key_malformed", f"{path.name} is of a kind not in use here")
    return SoftwareSigner("cnf", private)
