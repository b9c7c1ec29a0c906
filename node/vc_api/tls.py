"""The certificate of the VC-API's listener: the operator's, or a self-signed one made for it."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.home import write_private
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from datetime import datetime

    from node.settings import VcApiSettings

VALID = timedelta(days=30)


def context(settings: VcApiSettings, folder: Path, now: datetime) -> ssl.SSLContext:
    """TLS 1.2 or newer; raises SettingsError `setting_bad` for files that are no pair.

    folder: where a self-signed pair is written, readable by its owner alone
    """
    named = settings.certificate, settings.private_key
    if bool(named[0]) != bool(named[1]):
        raise SettingsError("setting_bad", "vc_api: certificate and private_key go together")
    certificate, key = (Path(name) for name in named) if named[0] else _self_signed(folder, now)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise SettingsError("setting_bad", "vc_api: not a certificate and its key") from None
    return made


def _self_signed(folder: Path, now: datetime) -> tuple[Path, Path]:
    """A new pair for this machine's own names, for each start."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    addresses = [ipaddress.ip_address(one) for one in ("127.0.0.1", "::1")]
    names = [x509.DNSName("localhost"), *(x509.IPAddress(one) for one in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "private-key.pem"
    write_private(files[0], certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(files[1], pem)
    return files
