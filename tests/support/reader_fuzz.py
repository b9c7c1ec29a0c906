"""Every reader and rule of documents and messages, each with seeds that it accepts.

A reader may refuse what it is given by an error of the TradeError family; any other exception, a
wait past its deadline and memory past its cap are findings (see ``scripts/fuzz_readers.py``).
"""

from __future__ import annotations

import base64
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from interop import ephyto_hub, pint_beta, uncefact
from protocols import base64url
from protocols.credentials import credential, envelope, forms, sd_credential, vcdm
from protocols.evidence import contents
from protocols.pint import (
    answers,
    chain,
    dispute,
    documents,
    endorsement,
    issuance,
    notification,
    signed,
    surrender,
)
from protocols.pint import envelope as pint_envelope
from protocols.title import json_forms as title_json
from protocols.verify import appearance
from schemas import cross, origin, registry, sps, strict_json, strict_xml
from schemas.errors import TradeError
from schemas.origin import examples as questions
from schemas.sps import ched, official
from schemas.sps.pairs import pair_findings
from tests.support import pint_world
from tests.support.mutated import mutated

#: What one input may take: seconds of the processor, and bytes of address space for the process.
DEADLINE = 10
MEMORY = 2 * 1024**3
CHED = (
    b'{"spsExchangedDocument":{"id":{"value":"CHEDP.1"},"statusCode":{"value":"47"},"issueDateTime"'
    b':{"dateTime":{"value":"2026-10-11T21:20:46Z"}}},"spsConsignment":{"exportSpsCountry":{"id":'
    b'{"value":"NZ"}},"includedSpsConsignmentItem":[{"includedSpsTradeLineItem":[{"sequenceNumeric"'
    b':{"value":1},"netWeightMeasure":{"unitCode":"KGM","value":2.5},"applicableSpsClassification":'
    b'[{"systemID":{"value":"CN"},"classCode":{"value":"07099990"}}]}]}]}}'
)
AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Reader:
    """What reads, and what it reads without complaint."""

    name: str
    read: Callable[[bytes], object]
    seeds: list[bytes]


def readers() -> list[Reader]:
    """All of them."""
    return [*_documents(), *_certificates(), *_mapped(), *_origin(), *_messages(), *_envelopes()]


def _documents() -> list[Reader]:
    made = [
        Reader(f"registry {key}", partial(_examined, key), [registry.example(key)])
        for key in registry.document_types()
    ]
    every = [reader.seeds[0] for reader in made]
    made.append(Reader("registry.detect", registry.detect, every))
    made.append(Reader("strict_json", _canonical, every))
    return made


def _examined(key: str, data: bytes) -> None:
    examination = registry.examine(key, data)
    json.dumps([examination.view.to_json(), [each.to_json() for each in examination.findings]])
    bill = cross.statement("bill-of-lading", registry.example("bill-of-lading"))
    cross.compare(bill, cross.statement(key, data))
    if data[:1] == b"{":
        appearance.warnings(data, strict_json.loads_object(data))


def _canonical(data: bytes) -> None:
    value = strict_json.loads(data)
    again = strict_json.canonical(value)
    assert strict_json.loads(again) == value


def _certificates() -> list[Reader]:
    seeds = [
        registry.example(key)
        for key, kind in registry.document_types().items()
        if kind.media_type.endswith("xml")
    ]
    header = ephyto_hub.header_for(sps.examine(seeds[0])[0])
    packed = [ephyto_hub.envelope_bytes(header, seed) for seed in seeds[:1]]
    return [
        Reader("sps", _certificate, seeds),
        Reader("strict_xml", strict_xml.parse, seeds),
        Reader("ched", _ched, [CHED]),
        Reader("ephyto_hub.envelope", ephyto_hub.read_envelope, packed),
        Reader("ephyto_hub.content", _content, [*seeds, base64.b64encode(seeds[0])]),
    ]


def _certificate(data: bytes) -> None:
    fields, findings = sps.examine(data, at=AT)
    json.dumps([fields, [each.to_json() for each in findings]])
    facts = fields["facts"]
    if facts:
        pair_findings(facts, [facts])
        with suppress(TradeError):
            assert sps.examine(sps.write(facts))[0]["facts"]["status"] == facts["status"]


def _ched(data: bytes) -> None:
    fields, findings = ched.examine(data)
    json.dumps([official.view_of(fields, "ched").to_json(), [one.to_json() for one in findings]])


def _content(data: bytes) -> None:
    ephyto_hub.content_bytes(data.decode("utf-8", "replace"))


def _mapped() -> list[Reader]:
    made = []
    for key in uncefact.TABLES:
        theirs = uncefact.to_d23b(key, registry.example(key), extended=True).document
        read = partial(_from_d23b, key)
        made.append(Reader(f"d23b from {key}", read, [strict_json.canonical(theirs)]))
        made.append(
            Reader(f"d23b to {key}", partial(uncefact.to_d23b, key), [registry.example(key)])
        )
    return made


def _from_d23b(key: str, data: bytes) -> None:
    document = strict_json.loads_object(data)
    uncefact.guess(document)
    uncefact.from_d23b(key, document)


def _origin() -> list[Reader]:
    bases = ("battery", "trousers", "ginger", "steel", "proof", "declaration", "transit", "polymer")
    seeds = [strict_json.canonical(questions.edited(base, {})) for base in bases]
    report = json.loads(registry.example("origin-evaluation"))["evaluation"]
    return [
        Reader("origin question", _evaluated, seeds),
        Reader("origin report", _reproduced, [strict_json.canonical(report)]),
    ]


def _evaluated(data: bytes) -> None:
    json.dumps(origin.evaluate(origin.read(strict_json.loads_object(data)), {}).to_json())


def _reproduced(data: bytes) -> None:
    origin.reproduce(strict_json.loads_object(data))


def _messages() -> list[Reader]:
    document, texts = pint_world.simple()
    packed = pint_world.pack(document, texts)
    entry = strict_json.canonical(_payload(texts[0]))
    manifest = strict_json.loads_object(packed)["envelopeManifestSignedContent"]
    others = [packed, registry.example("bill-of-lading"), b'{"code":"RECE"}']
    whole: dict[str, Callable[[bytes], object]] = {
        "issuance request": issuance.read_request,
        "issuance response": issuance.read_response,
        "surrender request": surrender.read_request,
        "surrender answer": surrender.read_answer,
        "endorsements": endorsement.read_chains,
        "dispute": dispute.read,
        "document": documents.read_document_body,
        "validation request": documents.read_validation_request,
        "validation response": documents.read_validation_response,
        "notification": notification.read_notification,
        "error": answers.read_error,
    }
    return [
        Reader("pint envelope", pint_envelope.read_envelope, [packed]),
        Reader("pint judge", pint_world.Platform().judge, [packed]),
        Reader("pint entry", _as_jws(chain.open_entry), [entry]),
        Reader("pint entry, older", _as_jws(_older), [entry]),
        Reader(
            "pint manifest",
            _as_jws(pint_envelope.open_envelope_manifest),
            [strict_json.canonical(_payload(str(manifest)))],
        ),
        *(Reader(f"pint {name}", read, others) for name, read in whole.items()),
    ]


def _payload(text: str) -> dict[str, Any]:
    return strict_json.loads_object(signed.parse(text).payload)


def _older(text: str) -> object:
    return chain.open_entry(text, pint_beta.BetaDialect(None))


def _as_jws(read: Callable[[str], object]) -> Callable[[bytes], object]:
    header = base64url.encode(b'{"alg":"ES256","kid":"x"}')

    def run(data: bytes) -> object:
        return read(f"{header}.{base64url.encode(data)}.{base64url.encode(bytes(64))}")

    return run


def _envelopes() -> list[Reader]:
    from testnet.bench.credentials import Bench

    bench = Bench.made(AT)
    plain, selective = bench.file.to_bytes(), bench.selective.to_bytes()
    proven = strict_json.canonical(bench.proven)
    return [
        Reader("credential file", credential.open_file, [plain]),
        Reader("selective file", sd_credential.open_file, [selective]),
        Reader("any file", forms.open_file, [plain, selective]),
        Reader("envelope", envelope.parse, [plain, selective, proven]),
        Reader("vcdm", vcdm.read, [proven]),
        Reader("title operation", title_json.read_operation_bytes, [b'{"kind":"ISSUE"}', proven]),
        Reader("title state", title_json.read_state_bytes, [b'{"state":"LIVE"}']),
        Reader("evidence index", contents.read_index, [b'{"contents":[]}']),
    ]


# -- the child process -----------------------------------------------------------------------------


class Hang(BaseException):
    """Raised by the alarm; no reader catches it."""


def _alarm(_: int, __: FrameType | None) -> None:
    raise Hang


def run(seconds: float, seed: int, case: Path, most: int | None = None) -> dict[str, Any]:
    """Gives mutated inputs to all readers in turn; the report, with every finding.

    case: gets each input before it is read, so that a dead process leaves it behind
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _alarm)
    chance, every = random.Random(seed), readers()
    for reader in every:
        for data in reader.seeds:
            with suppress(TradeError):
                reader.read(data)
    pool = [data for reader in every for data in reader.seeds]
    report: dict[str, Any] = {"inputs": 0, "read": 0, "refused": 0, "slowest": 0.0, "findings": []}
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or report["inputs"] < most):
        for reader in every:
            data = mutated(chance.choice(reader.seeds), pool, chance)
            case.write_bytes(reader.name.encode() + b"\n" + data)
            _try(reader, data, report)
    report["readers"] = len(every)
    report["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return report


def _try(reader: Reader, data: bytes, report: dict[str, Any]) -> None:
    begin = time.process_time()
    # The processor's time: how busy the machine is makes no finding.
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)
    try:
        reader.read(data)
        report["read"] += 1
    except TradeError:
        report["refused"] += 1
    except (Exception, Hang) as error:  # noqa: BLE001 - any at all is what is sought
        told = {"reader": reader.name, "error": repr(error)[:300], "place": _place(error)}
        known = [(each["reader"], each["place"]) for each in report["findings"]]
        if (told["reader"], told["place"]) not in known and len(known) < 50:
            report["findings"].append(told | {"input": base64.b64encode(data[:200_000]).decode()})
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    spent = time.process_time() - begin
    report["inputs"] += 1
    if spent > report["slowest"]:
        report |= {"slowest": spent, "slowestReader": reader.name, "slowestBytes": len(data)}


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def main() -> None:
    """The child: seconds, seed and the file for the case from the command line."""
    seconds, seed, case = sys.argv[1:4]
    most = int(sys.argv[4]) if len(sys.argv) > 4 else None
    sys.stdout.write(json.dumps(run(float(seconds), int(seed), Path(case), most)))


if __name__ == "__main__":
    main()
