"""Bitstring Status Lists of what the VC-API issued: one list for revocation, one for suspension.

Kept in a file of their own, because these credentials are no documents of the network. Indices are
drawn at random among those that are free, so that a number tells nothing about who came before.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from node.home import write_private
from protocols.credentials import status_list
from protocols.credentials.status_list import ENTRY_TYPE, MIN_ENTRIES, StatusEntry
from protocols.fields import Fields
from schemas.errors import NotFoundError, RefusedError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.strict_json import JsonValue

PURPOSES = ("revocation", "suspension")
_BYTES = MIN_ENTRIES // 8
_TRIES = 1000


class StatusLists:
    """The lists under one base URL; every change is durable when it returns."""

    def __init__(self, folder: Path, base: str) -> None:
        """Reads what `folder` holds; raises SettingsError `setting_bad` for a damaged file."""
        self._folder = folder
        self._base = base
        self._taken = {purpose: self._read(purpose, "taken") for purpose in PURPOSES}
        self._set = {purpose: self._read(purpose, "set") for purpose in PURPOSES}

    def url(self, purpose: str) -> str:
        """Where the list of a purpose is served."""
        return f"{self._base}/status-lists/{_known(purpose)}"

    def allocate(self, purpose: str) -> dict[str, JsonValue]:
        """A credentialStatus member with a free index; the next one is another."""
        taken = self._taken[_known(purpose)]
        for _ in range(_TRIES):
            index = secrets.randbelow(MIN_ENTRIES)
            if not status_list.bit(bytes(taken), index):
                self._mark(taken, index, on=True)
                self._write(purpose, "taken", taken)
                return StatusEntry(self.url(purpose), index, purpose).to_json()
        raise UnavailableError("status_list_full", "hardly an index is free in this list")

    def change(self, entry: Mapping[str, JsonValue], *, on: bool) -> None:
        """Set or clear the bit of an entry that was allocated here.

        Raises MalformedError `status_malformed`, RefusedError `status_foreign_list`.
        """
        read = self._own(entry)
        if not status_list.bit(bytes(self._taken[read.purpose]), read.index):
            raise RefusedError("status_out_of_range", "nothing was issued with this index")
        held = self._set[read.purpose]
        self._mark(held, read.index, on=on)
        self._write(read.purpose, "set", held)

    def is_set(self, entry: Mapping[str, JsonValue]) -> bool:
        """What the list says of an entry; raises as `change`."""
        read = self._own(entry)
        return status_list.bit(bytes(self._set[read.purpose]), read.index)

    def is_own(self, entry: object) -> bool:
        """Whether an entry names one of these lists."""
        urls = {self.url(purpose) for purpose in PURPOSES}
        return isinstance(entry, Mapping) and entry.get("statusListCredential") in urls

    def credential(self, purpose: str, ttl: float) -> dict[str, JsonValue]:
        """The list credential, not yet signed and without its issuer."""
        url = self.url(purpose)
        return {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": url,
            "type": ["VerifiableCredential", status_list.TYPE],
            "credentialSubject": {
                "id": f"{url}#list",
                "type": "BitstringStatusList",
                "statusPurpose": purpose,
                "encodedList": status_list.encode_bits(bytes(self._set[purpose])),
                "ttl": int(ttl * 1000),
            },
        }

    def _own(self, entry: Mapping[str, JsonValue]) -> StatusEntry:
        read = status_list.read_entry(Fields(entry, status_list.CODE, "/credentialStatus"))
        if read.purpose not in PURPOSES or read.list_url != self.url(read.purpose):
            raise RefusedError("status_foreign_list", f"the {ENTRY_TYPE} is of another list")
        return read

    def _read(self, purpose: str, what: str) -> bytearray:
        file = self._folder / f"{purpose}.{what}"
        data = file.read_bytes() if file.exists() else bytes(_BYTES)
        if len(data) != _BYTES:
            raise SettingsError("setting_bad", f"{file.name} is damaged")
        return bytearray(data)

    def _write(self, purpose: str, what: str, bits: bytearray) -> None:
        write_private(self._folder / f"{purpose}.{what}", bytes(bits))

    @staticmethod
    def _mark(bits: bytearray, index: int, *, on: bool) -> None:
        mask = 0x80 >> (index & 7)
        bits[index >> 3] = bits[index >> 3] | mask if on else bits[index >> 3] & ~mask


def _known(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise NotFoundError("path_unknown", "lists are for revocation and for suspension")
    return purpose
