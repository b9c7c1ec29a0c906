"""Stamping files and renewing bundles from the command line: resumable, one stamp for a batch.

A renewal keeps its plan in a folder: the bundles with their digests, the query, the answer. Each
bundle is replaced in one step. After a stop the same command goes on: what has its renewal is
passed over, what still is as it was gets it, anything else is named and left alone.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.home import write_private
from node.verification.offline import MAX_BUNDLE, read_capped, read_versions
from protocols import times, timestamp
from protocols.digest import from_hex, sha256
from protocols.evidence import archive, renewal
from protocols.fields import Fields
from protocols.log import receipt as log_receipt
from protocols.verify.certificate_steps import verify_stamp
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError

if TYPE_CHECKING:
    from protocols.evidence.renewal import Batch, Record

PLAN, QUERY, ANSWER = "plan.json", "query.tsq", "answer.tsr"
MAX_PLAN = 512 * 1024 * 1024
#: Steps of progress: how many are done, of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked: bundles or folders of them, where to remember, an answer got elsewhere.

    by_hand: stop when the query is written; restart: forget what was begun
    """

    paths: tuple[Path, ...]
    work: Path
    token: Path | None = None
    by_hand: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """The bundles in their order, each with its digest before the renewal."""

    files: tuple[tuple[str, bytes], ...]
    nonce: int

    def to_bytes(self) -> bytes:
        listed: list[strict_json.JsonValue] = [
            {"file": name, "sha256": digest.hex()} for name, digest in self.files
        ]
        return strict_json.canonical({"v": 1, "nonce": str(self.nonce), "files": listed})


def _read_plan(data: bytes) -> _Plan:
    members = strict_json.loads_object(data, max_bytes=MAX_PLAN, max_members=10_000_000)
    fields = Fields(members, "renewal_plan_malformed")
    listed = fields.children("files", renewal.MAX_BATCH)
    files = tuple((one.text("file", max_length=4096), one.digest("sha256")) for one in listed)
    return _Plan(files, int(fields.text("nonce", max_length=20)))


def bundles(paths: tuple[Path, ...]) -> list[Path]:
    """The bundles and receipt files that `paths` name, each once, in order of their names.

    Of a folder its bundles; receipt files are named one by one.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        found |= dict.fromkeys(each.resolve() for each in inside)
    return sorted(found)


def renew(wish: Wish, ask: Callable[[bytes], bytes], progress: Progress) -> dict[str, Any]:
    """Plan, stamp and attach; what was done, for people.

    ask: has bytes stamped by a server. Raises MalformedError of the archive for a file that is no
    bundle, ConflictError `renewal_other_batch`, `renewal_changed`, and what `ask` raises.
    """
    plan = _plan_of(wish, progress)
    batch = renewal.plan([digest for _, digest in plan.files])
    answer = _answer_of(wish, batch, plan.nonce, ask)
    if answer is None:
        return {"bundles": len(plan.files), "query": str(wish.work / QUERY), "next": "--token"}
    made = timestamp.read(answer).made
    renewed = sum(_attached(plan, batch, answer, progress))
    for name in (ANSWER, QUERY, PLAN):
        (wish.work / name).unlink(missing_ok=True)
    return {"bundles": len(plan.files), "renewed": renewed, "time": times.to_text(made)}


def _plan_of(wish: Wish, progress: Progress) -> _Plan:
    file = wish.work / PLAN
    found = bundles(wish.paths)
    if file.is_file() and not wish.restart:
        plan = _read_plan(read_capped(file, MAX_PLAN))
        if [name for name, _ in plan.files] != [str(each) for each in found]:
            raise ConflictError("renewal_other_batch", f"{wish.work} is about other bundles")
        return plan
    wish.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    (wish.work / ANSWER).unlink(missing_ok=True)
    plan = _Plan(tuple(_digests(found, progress)), 1 + secrets.randbelow((1 << 64) - 1))
    write_private(file, plan.to_bytes())
    return plan


def _digests(found: list[Path], progress: Progress) -> Iterator[tuple[str, bytes]]:
    for done, each in enumerate(found, start=1):
        data = read_capped(each, MAX_BUNDLE)
        _require_whole(data, each.name)
        progress(done, 2 * len(found))
        yield str(each), sha256(data)


def _is_bundle(data: bytes) -> bool:
    """A bundle, or else a receipt file."""
    return data.startswith(b"PK")


def _require_whole(data: bytes, name: str) -> None:
    if not _is_bundle(data):
        log_receipt.read(data)
        return
    members, exact = archive.read(data)
    if not exact:
        raise MalformedError("renewal_not_exact", name)
    renewal.numbers(members)


def _renewed(data: bytes, record: Record, answer: bytes) -> bytes:
    if _is_bundle(data):
        return renewal.attach(data, record, answer)
    return log_receipt.read(data).renewed(record.to_bytes(), answer).to_bytes()


def _answer_of(wish: Wish, batch: Batch, nonce: int, ask: Callable[[bytes], bytes]) -> bytes | None:
    """The stamp over the batch: the one had before, the one brought, or a new one."""
    file = wish.work / ANSWER
    if file.is_file():
        return read_capped(file, timestamp.MAX_BYTES)
    if wish.token is not None:
        answer = read_capped(wish.token, timestamp.MAX_BYTES)
    elif wish.by_hand:
        write_private(wish.work / QUERY, timestamp.request(batch.stamped, nonce))
        return None
    else:
        answer = ask(batch.stamped)
    if timestamp.read(answer).imprint != sha256(batch.stamped):
        raise MalformedError("tsa_other_digest", "the answer is over something else")
    write_private(file, answer)
    return answer


def _attached(plan: _Plan, batch: Batch, answer: bytes, progress: Progress) -> Iterator[bool]:
    """Attach to one bundle after the other; whether each had to be written."""
    count = len(plan.files)
    for done, ((name, digest), record) in enumerate(
        zip(plan.files, batch.records, strict=True), start=1
    ):
        file = Path(name)
        data = read_capped(file, MAX_BUNDLE)
        as_planned = sha256(data) == digest
        if as_planned:
            write_private(file, _renewed(data, record, answer))
        elif not _has(data, digest):
            raise ConflictError("renewal_changed", name)
        progress(count + done, 2 * count)
        yield as_planned


def _has(data: bytes, digest: bytes) -> bool:
    """Whether the file is the planned one with one renewal more."""
    if not _is_bundle(data):
        receipt = log_receipt.read(data)
        count = len(receipt.renewals)
        return count > 0 and receipt.covered(count) == digest
    members, _ = archive.read(data)
    last = len(renewal.numbers(members))
    return last > 0 and renewal.covered(members, last) == digest


def ask_node(data: bytes, home: Path, lang: str) -> bytes:
    """A stamp over `data` from the server that the node is set up with."""
    import orjson

    from node.operator import operator

    body = orjson.dumps({"data": base64.b64encode(data).decode()})
    headers = {"Content-Type": "application/json"}
    with operator(home, lang=lang) as client:
        return client.request("POST", "/v1/timestamps", body, headers=headers).body


def write_query(file: Path, query: Path) -> dict[str, Any]:
    """Write the query for a document file's signature."""
    nonce = 1 + secrets.randbelow((1 << 64) - 1)
    query.write_bytes(timestamp.request(_stamped(file), nonce))
    return {"query": str(query), "next": "--token"}


def _stamped(file: Path) -> bytes:
    from node.evidence.stamping import stamped_of

    return stamped_of(read_capped(file, MAX_BUNDLE))


def take_offline(file: Path, token: Path | None, trust: Path) -> dict[str, Any]:
    """Verify a response under a member list and put it beside the file."""
    if token is None:
        raise ConflictError("tsa_not_configured", "--trust goes with --token")
    now = datetime.now(UTC)
    response = read_capped(token, timestamp.MAX_BYTES)
    newest = read_versions(trust, now)[-1]
    stamp = verify_stamp(response, _stamped(file), newest.anchors, judged=now)
    return _beside(file, response, times.to_text(stamp.made))


def stamp_by_node(file: Path, token: Path | None, home: Path, lang: str) -> dict[str, Any]:
    """Have the node stamp a file, or keep a stamp for a document it holds."""
    from node.operator import operator

    body = {}
    if token is not None:
        given = read_capped(token, timestamp.MAX_BYTES)
        body["token"] = base64.b64encode(given).decode()
    if file.is_file():
        response = given if token is not None else ask_node(_stamped(file), home, lang)
        return _beside(file, response, times.to_text(timestamp.read(response).made))
    from_hex(str(file))
    with operator(home, lang=lang) as client:
        told: dict[str, Any] = client.post(f"/v1/documents/{file}/timestamp", body)
    return {name: value for name, value in told.items() if name != "token"}


def _beside(file: Path, response: bytes, made: str) -> dict[str, Any]:
    target = file.with_suffix(".tsr")
    target.write_bytes(response)
    return {"file": str(target), "time": made}
