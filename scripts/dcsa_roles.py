"""Our node in each role of DCSA's conformance framework; `dcsa_conformance.py` runs them."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from protocols.keys import SoftwareSigner
from protocols.pint.chain import issuance_manifest
from schemas import registry
from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
CALL_SECONDS = 60.0

#: The name of a role here → standard and role as the framework calls them.
ROLES = {
    "pint-receiving": ("PINT", "ReceivingPlatform"),
    "pint-sending": ("PINT", "SendingPlatform"),
    "issuance-carrier": ("eBL Issuance", "Carrier"),
    "issuance-platform": ("eBL Issuance", "Platform"),
    "surrender-carrier": ("eBL Surrender", "Carrier"),
    "surrender-platform": ("eBL Surrender", "Platform"),
}
#: Our node, and what the framework shows it.
DID, PLATFORM, CONSIGNMENT = "did:web:conformance.example", "PRTQ", "6NLCONFORMANCE"
KEY_HEADER, RUN = "x-conformance-key", uuid.uuid4().hex
#: The framework's own parties as our operator writes them down → role under test, what they are.
ISSUING_PLATFORM, SURRENDER_PLATFORM = "DCSA", "WAVE"
SURRENDERED_CARRIER = "SUCA"
COUNTERPARTS = {
    ISSUING_PLATFORM: ("issuance-carrier", "platform"),
    "ISCA": ("issuance-platform", "carrier"),
    SURRENDER_PLATFORM: ("surrender-carrier", "platform"),
    SURRENDERED_CARRIER: ("surrender-platform", "carrier"),
}
RECEIVER = "CARX"
KINDS = {"STRAIGHT_EBL": "straight", "NEGOTIABLE_EBL": "negotiable", "BLANK_EBL": "blank"}
BEGINNING = {
    "PintInitiateAndCloseTransferAction",
    "PintInitiateTransferAction",
    "PintErrorResponseAction",
}
FAULTS = {"SIGNATURE_ISSUE": "signature", "WRONG_RECIPIENT_PLATFORM": "platform"}
DOCUMENT_KIND = "senderDocumentTransmissionTypeCode"
#: Kind of action and its variant → the step that our node is told to take.
STEPS = {
    **{
        (kind, variant): step
        for kind in ("PintRetryTransferAction", "PintRetryTransferAndCloseAction")
        for variant, step in (
            ("NO_CHANGE", "again"),
            ("RESIGN", "signed-again"),
            ("MANIPULATE", "altered"),
        )
    },
    ("PintTransferAdditionalDocumentAction", "VALID_DOCUMENT"): "document",
    ("PintTransferAdditionalDocumentAction", "CORRUPTED_DOCUMENT"): "corrupted",
    ("PintTransferAdditionalDocumentAction", "UNRELATED_DOCUMENT"): "unrelated",
    ("PintCloseTransferAction", None): "finish",
}

Json = dict[str, Any]


class ConformanceError(Exception):
    """The framework or the node did not do what a scenario needs."""


def call(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of one call on loopback; None for an empty answer.

    Not by urllib: it writes header names anew, and the framework knows its own in one spelling.
    """
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=CALL_SECONDS)
    told = {"Content-Type": "application/json", **(headers or {})}
    try:
        connection.request(method, where.path, None if body is None else json.dumps(body), told)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(data) if data.strip() else None


class Sandbox(Protocol):
    """Where the framework's own party of a role is, and what to show it."""

    url: str
    header: tuple[str, str]


# -- our node ------------------------------------------------------------------------------------


class Node:
    """A node of a test network of its own, in a folder that goes when it has ended."""

    def __init__(self, home: Path, carrier: str, sandboxes: Mapping[str, Sandbox]) -> None:
        """home: a folder that is made; carrier: the framework's own, its certificate in PEM

        sandboxes: by role, those that are to be run
        """
        self.home, self._token = home, ""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command("init", str(home), "--did", DID, "--name", "Conformance Lines", "--role", "carrier",
                "--role", "pint-platform", "--country", "NL", "--port", str(self.port),
                "--platform", PLATFORM, "--found", "Conformance", "--test",
                "--issuer", "bill-of-lading:NL")  # fmt: skip
        self.carrier_key = ec.generate_private_key(ec.SECP256R1())
        self._write_down(carrier, sandboxes)

    def _write_down(self, carrier: str, sandboxes: Mapping[str, Sandbox]) -> None:
        """The settings, and who is outside the network, as an operator writes it down."""
        own = certificate(self.carrier_key, "driver's carrier")
        (self.home / "toolkit-carrier.pem").write_text(carrier)
        (self.home / "driver-carrier.pem").write_text(own)
        lines = []
        for name, (role, what) in COUNTERPARTS.items():
            if role not in sandboxes:
                continue
            sandbox = sandboxes[role]
            (self.home / f"{name}.send").write_text(sandbox.header[1])
            (self.home / f"{name}.expect").write_text(secret_of(name))
            lines += [f"[{name}]", f'role = "{what}"', f'url = "{sandbox.url}"',
                      f'send = "{sandbox.header[0]}: {name}.send"',
                      f'expect = "{KEY_HEADER}: {name}.expect"']  # fmt: skip
            if what == "carrier":
                file = "toolkit" if role == "issuance-platform" else "driver"
                lines += [f'certificates = "{file}-carrier.pem"']
        (self.home / "counterparts.toml").write_text("\n".join([*lines, ""]))
        settings = self.home / "pratique.toml"
        chosen = ["[pint]", "registry_required = false", "[ebl]", 'issuance = "operator"',
                  'counterparts = "counterparts.toml"', "retry_base = 0.5", ""]  # fmt: skip
        settings.write_text("\n".join([settings.read_text(), *chosen]))

    def certificate(self, purpose: str) -> str:
        """A self-signed certificate of the node's own key, in PEM: the script made its home."""
        text = (self.home / "keys" / f"{purpose}-1.pem").read_text()
        key = serialization.load_pem_private_key(text[text.index("-----") :].encode(), None)
        return certificate(key, f"{DID} {purpose}")

    @contextmanager
    def running(self) -> Iterator[None]:
        """`pratique node run` until the end of the block."""
        with (self.home / "node.log").open("w") as log:
            process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-m", "node.cli.main", "node", "run", "--home", str(self.home)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                command("node", "wait", "--home", str(self.home))
                self._token = (self.home / "run" / "token").read_text().strip()
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(CALL_SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """An operator's call; raises ConformanceError when it is refused."""
        bearer = {"Authorization": f"Bearer {self._token}"}
        status, answer = call(method, self.url + path, body, bearer)
        if status >= 400:
            raise ConformanceError(f"{method} {path}: {status} {answer}")
        return answer

    def reset(self) -> None:
        """Forget every bill: the framework uses one reference in all scenarios of a role."""
        self.ask("POST", "/v1/test/ebl/reset")

    def issue(self, document: Json) -> str:
        """Issue a bill of lading; its digest."""
        payload = base64.b64encode(json.dumps(document).encode()).decode()
        body = {"type": "bill-of-lading", "payload": payload, "consignment": CONSIGNMENT}
        return str(self.ask("POST", "/v1/documents", body)["digest"])


def command(*arguments: str) -> None:
    """One command of the node's program; raises CalledProcessError when it fails."""
    run = [sys.executable, "-m", "node.cli.main", *arguments]
    subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 our own words


def secret_of(name: str) -> str:
    """What the framework shows when it calls as that counterpart; good for this run."""
    return f"{name}-{RUN}"


def certificate(key: Any, name: str) -> str:
    """A self-signed certificate in PEM, valid for this day."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def bill(reference: str, kind: str = "straight") -> Json:
    """The packaged bill under that reference: straight, negotiable (to order) or blank."""
    document: Json = json.loads(registry.example("bill-of-lading"))
    parties = document["documentParties"]
    parties.pop("endorsee", None)
    document |= {"transportDocumentReference": reference, "isToOrder": kind != "straight"}
    named = {"partyName": "Consignee", "identifyingCodes": [code("consignee")]}
    if kind != "blank":
        parties["consignee" if kind == "straight" else "endorsee"] = named
    return document


def code(name: str) -> Json:
    """The code of a party of these tests."""
    return {"codeListProvider": "ZZZ", "partyCode": name, "codeListName": "TEST"}


def new_reference() -> str:
    """A transport document reference that was never used."""
    return uuid.uuid4().hex[:20].upper()


# -- our node in each role -----------------------------------------------------------------------


@dataclass
class Role:
    """What all roles share."""

    node: Node

    def begin(self) -> None:
        """Forget the scenario before."""
        self.node.reset()

    def parameters(self, prompt: Json) -> Json:
        """What our role supplies before the scenario goes on."""
        raise ConformanceError(f"nobody foresaw {prompt}")

    def meanwhile(self) -> None:
        """Nothing to do while the framework acts."""

    def act(self, prompt: Json) -> None:
        """Most roles act in `meanwhile` only."""
        raise ConformanceError(f"nobody foresaw {prompt}")


def action(prompt: Json) -> str:
    """The kind of action that is under way."""
    return str(prompt["actionType"]).rpartition(".")[2]


class Receiving(Role):
    """PINT, receiving platform."""

    @override
    def parameters(self, prompt: Json) -> Json:
        """Who receives here; and the node learns whose signatures to expect."""
        self.node.ask("POST", "/v1/ebl/accounts", {"code": code("receiver"), "name": "Receiver"})
        if action(prompt) == "SupplyValidationEndpointScenarioParametersAction":
            return code("receiver")
        sender = prompt["ssp"]["sendersX509SigningCertificateInPEMFormat"]
        carrier = prompt["ssp"]["carriersX509SigningCertificateInPEMFormat"]
        peers = [{"code": one, "certificates": [sender], "beta": True} for one in ("BOLE", "WAVE")]
        self.node.ask("PUT", "/v1/test/ebl", {"peers": peers, "carriers": [carrier]})
        known = prompt["scenarioClass"] != "INVALID_RECIPIENT"
        party = {
            "partyName": "Receiver",
            "eblPlatform": PLATFORM,
            "identifyingCodes": [code("receiver" if known else "nobody")],
        }
        pem = self.node.certificate("platform")
        return {"receiverParty": party, "receiversX509SigningCertificateInPEMFormat": pem}


class Sending(Role):
    """PINT, sending platform: the node errs when it is told to."""

    sandbox: Sandbox
    transfer = ""

    @override
    def parameters(self, prompt: Json) -> Json:
        """Which bill is sent, by whom."""
        if action(prompt) == "SupplyValidationEndpointScenarioParametersAction":
            return code("receiver")
        return {
            "transportDocumentReference": new_reference(),
            "eblPlatform": PLATFORM,
            "sendersX509SigningCertificateInPEMFormat": self.node.certificate("platform"),
            "carriersX509SigningCertificateInPEMFormat": self.node.certificate("credential"),
        }

    @override
    def act(self, prompt: Json) -> None:
        """The one call that the scenario waits for."""
        kind = action(prompt)
        if kind == "PintReceiverValidationAction":
            self._tell(RECEIVER, "")
            asked = {"platform": RECEIVER, "code": prompt["dsp"]["receiverValidation"]}
            self.node.ask("POST", "/v1/test/ebl/receiver-validation", asked)
        elif kind in BEGINNING:
            self._begin(prompt)
        else:
            step = STEPS[kind, prompt.get("retryType") or prompt.get(DOCUMENT_KIND)]
            self.node.ask("POST", f"/v1/test/ebl/transfers/{self.transfer}/{step}")

    def _begin(self, prompt: Json) -> None:
        party = prompt["rsp"]["receiverParty"]
        self._tell(
            party["eblPlatform"], prompt["rsp"]["receiversX509SigningCertificateInPEMFormat"]
        )
        classes = prompt["senderTransmissionClass"]
        fault = "facility" if prompt.get("sendInvalidFacilityCode") else FAULTS.get(classes, "none")
        order = {
            "platform": party["eblPlatform"],
            "document": bill(prompt["ssp"]["transportDocumentReference"]),
            "recipient": party,
            "hops": 2 if classes == "VALID_TRANSFER" else 1,
            "documents": prompt["dsp"]["documentCount"],
            "fault": fault,
        }
        begun = self.node.ask("POST", "/v1/test/ebl/transfers", order)
        self.transfer = begun["transfer"]

    def _tell(self, platform: str, pem: str) -> None:
        peer = {
            "code": platform,
            "certificates": [pem] if pem else [],
            "url": self.sandbox.url,
            "headers": dict([self.sandbox.header]),
            "beta": True,
        }
        self.node.ask("PUT", "/v1/test/ebl", {"peers": [peer]})


class IssuingCarrier(Role):
    """Issuance, carrier."""

    @override
    def parameters(self, prompt: Json) -> Json:
        """With which key the carrier signs."""
        del prompt
        return {"carriersX509SigningCertificateInPEMFormat": self.node.certificate("credential")}

    @override
    def act(self, prompt: Json) -> None:
        """Put a bill of the wanted kind before the platform."""
        document = bill(new_reference(), KINDS[prompt["dsp"]["eblType"]])
        told = prompt["ssp"]
        named = {"codeListProvider": told["issueToCodeListProvider"],
                 "partyCode": told["issueToPartyCode"],
                 "codeListName": told["issueToCodeListName"]}  # fmt: skip
        issue_to = {
            "partyName": told["issueToPartyName"],
            "sendToPlatform": ISSUING_PLATFORM,
            "identifyingCodes": [named],
        }
        if action(prompt) == "IssuanceRequestErrorResponseAction":
            del document["documentParties"]["issuingParty"]
            faulty = {"counterpart": ISSUING_PLATFORM, "document": document, "issueTo": issue_to}
            self.node.ask("POST", "/v1/test/ebl/issuances", faulty)
            return
        digest = self.node.issue(document)
        self.node.ask("POST", "/v1/ebl/issuances", {"document": digest, "issueTo": issue_to})


class IssuingPlatform(Role):
    """Issuance, platform: the operator decides what the scenario wants."""

    decision = ""

    @override
    def parameters(self, prompt: Json) -> Json:
        """To whom the framework's carrier is to issue."""
        self.decision = prompt["responseCode"]
        self.node.ask("POST", "/v1/ebl/accounts", {"code": code("shipper"), "name": "Shipper"})
        told = {"issueToSendToPlatform": PLATFORM}
        for role in ("issueTo", "shipper", "consigneeOrEndorsee", "issuingParty"):
            named = code("shipper" if role == "issueTo" else role)
            told |= {
                f"{role}{'PartyName' if role == 'issueTo' else 'LegalName'}": f"The {role}",
                f"{role}CodeListProvider": named["codeListProvider"],
                f"{role}PartyCode": named["partyCode"],
                f"{role}CodeListName": named["codeListName"],
            }
        return told

    @override
    def meanwhile(self) -> None:
        """Decide what is waiting."""
        for one in self.node.ask("GET", "/v1/ebl/issuances?side=platform")["issuances"]:
            if one["state"] == "pending":
                body = {"code": self.decision}
                if self.decision != "ISSU":
                    body["reason"] = "the scenario wants it"
                path = f"/v1/ebl/issuances/{one['transportDocumentReference']}/decision"
                self.node.ask("POST", path, body)


class SurrenderCarrier(Role):
    """Surrender, carrier: a bill is issued to the framework's platform, which gives it back."""

    accept = True

    @override
    def parameters(self, prompt: Json) -> Json:
        """A bill that is issued, or one that nobody knows."""
        self.accept = prompt["response"] == "SURR"
        reference = new_reference()
        if not prompt["isErrorScenario"]:
            kind = "straight" if "Straight" in prompt["eblType"] else "negotiable"
            self._issued(bill(reference, kind))
        parties = {"issueToParty": "shipper", "carrierParty": "carrier",
                   "surrendereeParty": "consignee"}  # fmt: skip
        return {
            "transportDocumentReference": reference,
            **{name: surrender_party(who) for name, who in parties.items()},
        }

    def _issued(self, document: Json) -> None:
        reference = document["transportDocumentReference"]
        issue_to = {"partyName": "Shipper", "sendToPlatform": SURRENDER_PLATFORM,
                    "identifyingCodes": [code("shipper")]}  # fmt: skip
        asked = {"document": self.node.issue(document), "issueTo": issue_to}
        self.node.ask("POST", "/v1/ebl/issuances", asked)
        # The framework's platform of this role takes no issuance; its answer is given for it.
        answer = {"transportDocumentReference": reference, "issuanceResponseCode": "ISSU"}
        as_platform = {KEY_HEADER: secret_of(SURRENDER_PLATFORM)}
        url = f"{self.node.url}/v3/ebl-issuance-responses"
        status, told = call("POST", url, answer, as_platform)
        if status != 204:
            raise ConformanceError(f"the issuance was not taken: {status} {told}")

    @override
    def meanwhile(self) -> None:
        """Answer what is asked."""
        for one in self.node.ask("GET", "/v1/ebl/surrenders?side=carrier")["surrenders"]:
            if one["state"] == "asked":
                body = {"accept": self.accept} | ({} if self.accept else {"comment": "no"})
                request = quote(one["surrenderRequestReference"])
                self.node.ask("POST", f"/v1/ebl/surrenders/{request}/answer", body)


def surrender_party(name: str) -> Json:
    """A party as surrender requests name it."""
    platform = PLATFORM if name == "carrier" else SURRENDER_PLATFORM
    return {"partyName": name, "eblPlatform": platform, "identifyingCodes": [code(name)]}


class SurrenderPlatform(Role):
    """Surrender, platform: a bill of the framework's carrier is issued here and given back."""

    @override
    def act(self, prompt: Json) -> None:
        """Have the bill issued here, then give it back."""
        # The framework's carrier rejects without a reason.
        lenient = {"code": SURRENDERED_CARRIER, "beta": True}
        self.node.ask("PUT", "/v1/test/ebl", {"peers": [lenient]})
        reference = prompt["suppliedScenarioParameters"]["transportDocumentReference"]
        straight = "Straight" in prompt["actionPath"]
        self._issued(bill(reference, "straight" if straight else "negotiable"))
        asked = {"reference": reference, "code": "AREQ" if prompt["forAmendment"] else "SREQ"}
        if prompt.get("isSwitchToPaper"):
            asked["reason"] = "SWTP"
        self.node.ask("POST", "/v1/ebl/surrenders", asked)

    def _issued(self, document: Json) -> None:
        """As the framework's carrier would have it issued: its role here knows surrenders only."""
        self.node.ask("POST", "/v1/ebl/accounts", {"code": code("shipper"), "name": "Shipper"})
        issue_to = {"partyName": "Shipper", "sendToPlatform": PLATFORM,
                    "identifyingCodes": [code("shipper")]}  # fmt: skip
        manifest = issuance_manifest(document, issue_to)
        key = SoftwareSigner(SURRENDERED_CARRIER, self.node.carrier_key)
        request = {"document": document, "issueTo": issue_to,
                   "issuanceManifestSignedContent": manifest.sign(key)}  # fmt: skip
        as_carrier = {KEY_HEADER: secret_of(SURRENDERED_CARRIER)}
        url = f"{self.node.url}/v3/ebl-issuance-requests"
        status, told = call("PUT", url, request, as_carrier)
        if status != 204:
            raise ConformanceError(f"the bill was not taken: {status} {told}")
        path = f"/v1/ebl/issuances/{document['transportDocumentReference']}/decision"
        self.node.ask("POST", path, {"code": "ISSU"})


PARTIES = {
    "pint-receiving": Receiving,
    "pint-sending": Sending,
    "issuance-carrier": IssuingCarrier,
    "issuance-platform": IssuingPlatform,
    "surrender-carrier": SurrenderCarrier,
    "surrender-platform": SurrenderPlatform,
}
