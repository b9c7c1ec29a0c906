"""Renewing the evidence of many bundles with one time-stamp (after RFC 4998 §5.2, §5.3).

Before the last time-stamp over a bundle loses its worth, a new one is made over the whole file as
it is. One stamp serves a batch: it covers the root of a hash tree over the files' digests (RFC 6962
§2.1, so leaves and nodes cannot be confused), and each bundle carries its path to that root:

    renewals/001.json   {"v": 1, "index": …, "size": …, "path": [hex, …]}
    renewals/001.tsr    the RFC 3161 response

The next renewal covers these two as well. RFC 4998 orders the hashes of a tree by value and keeps
its records in ASN.1; here positions are explicit and the record is JSON, as everything else is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.digest import from_hex, sha256
from protocols.evidence import archive, contents
from protocols.fields import Fields
from protocols.log import merkle
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_RENEWALS = 200
MAX_BATCH = 1_000_000
_MAX_PATH = 20
_TAG = b"pratique evidence renewal v1\x00"


@dataclass(frozen=True, slots=True)
class Record:
    """Where a bundle stands in the tree of its batch: index, size and audit path."""

    index: int
    size: int
    path: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """RFC 8785 JSON."""
        path: list[strict_json.JsonValue] = [each.hex() for each in self.path]
        body: dict[str, strict_json.JsonValue] = {
            "v": 1,
            "index": self.index,
            "size": self.size,
            "path": path,
        }
        return strict_json.canonical(body)

    def stamped(self, digest: bytes) -> bytes:
        """The bytes that the stamp is over, for a bundle of that digest.

        Raises RefusedError of `merkle` when the path does not fit.
        """
        leaf = merkle.leaf_hash(digest)
        root = merkle.root_from_inclusion(self.index, self.size, leaf, self.path)
        return _TAG + root


def read_record(data: bytes) -> Record:
    """A record from its only spelling; raises MalformedError `evidence_malformed` or json_*."""
    members = strict_json.loads_object(data, max_bytes=10_000)
    fields, path = Fields(members, contents.CODE), members.get("path")
    fields.integer("v", 1, 1)
    if not isinstance(path, list) or len(path) > _MAX_PATH:
        raise fields.fault("path", f"the path has at most {_MAX_PATH} hashes")
    size = fields.integer("size", 1, MAX_BATCH)
    record = Record(
        fields.integer("index", 0, size - 1),
        size,
        tuple(map(from_hex, path)),
    )
    if record.to_bytes() != data:
        raise MalformedError(contents.CODE, "a renewal is not in its canonical form")
    return record


@dataclass(frozen=True, slots=True)
class Batch:
    """One hash tree: the bytes to have stamped, and a record for every bundle, in their order."""

    stamped: bytes
    records: tuple[Record, ...]


def plan(digests: Sequence[bytes]) -> Batch:
    """The tree over the SHA-256 of bundle files, in the order given.

    Raises RefusedError `renewal_empty`, `renewal_too_many`.
    """
    if not digests:
        raise RefusedError("renewal_empty", "there is no bundle to renew")
    if len(digests) > MAX_BATCH:
        raise RefusedError("renewal_too_many", f"at most {MAX_BATCH} bundles in a batch")
    tree = merkle.Tree(map(merkle.leaf_hash, digests))
    size = len(digests)
    records = tuple(
        Record(index, size, tuple(tree.inclusion_proof(index, size))) for index in range(size)
    )
    return Batch(_TAG + tree.root(), records)


def numbers(members: Mapping[str, bytes]) -> range:
    """The numbers of the renewals in a bundle: 1, 2, … without a gap, each with both its parts.

    Raises MalformedError `evidence_malformed`.
    """
    found = {number for name in members if (number := contents.renewal_of(name)) is not None}
    count = len(found)
    wanted = {name for number in range(1, count + 1) for name in _names(number)}
    present = {name for name in members if contents.renewal_of(name) is not None}
    if wanted != present or count > MAX_RENEWALS:
        raise MalformedError(contents.CODE, "the renewals are not complete", pointer="renewals")
    return range(1, count + 1)


def _names(number: int) -> tuple[str, str]:
    return f"renewals/{number:03d}.json", f"renewals/{number:03d}.tsr"


def covered(members: Mapping[str, bytes], number: int) -> bytes:
    """SHA-256 of the file as it was before that renewal."""
    before = {
        name: data for name, data in members.items() if (contents.renewal_of(name) or 0) < number
    }
    return sha256(archive.write(before))


def parts(members: Mapping[str, bytes], number: int) -> tuple[Record, bytes]:
    """The record and the response of one renewal; raises as `read_record`."""
    record, response = (members[name] for name in _names(number))
    return read_record(record), response


def attach(bundle: bytes, record: Record, response: bytes) -> bytes:
    """The bundle with one more renewal.

    Raises MalformedError `archive_*`, `evidence_malformed`; RefusedError `renewal_not_exact` when
    the file is not exactly the archive of its members, which a renewal would cover up.
    """
    members, exact = archive.read(bundle)
    if not exact:
        raise RefusedError("renewal_not_exact", "the file is not exactly an evidence bundle")
    number = len(numbers(members)) + 1
    if number > MAX_RENEWALS:
        raise RefusedError("renewal_too_many", f"at most {MAX_RENEWALS} renewals of a bundle")
    name, stamp = _names(number)
    return archive.write({**members, name: record.to_bytes(), stamp: response})
