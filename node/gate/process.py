"""A gate by itself: its folder, its key, its decisions. It runs without any network (R24).

`init` makes the folder with the register's key pinned in it. While online, `take` keeps leases and
notices that the register signed. `admit` decides about a truck with nothing but this folder.
Whatever is not leased goes to `manual`: a person opens, and says so in the journal.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.gate.store import GateStore
from node.home import write_private
from protocols import times
from protocols.keys import PublicKey, SoftwareSigner, from_jwk
from protocols.release.gate import Arrival, Entry, read_lease, read_notice, require_admissible
from schemas.errors import ConflictError, MalformedError, RefusedError, SettingsError, TradeError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.release.gate import Lease

CONDITIONS = frozenset({"SOUND", "DAMAGED"})
CHALLENGE_AGE = timedelta(minutes=10)
_SETTINGS, _KEY, _STORE = "gate.json", "gate.pem", "gate.db"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a gate is set up with: its name and group, and the register with its key."""

    name: str
    group: str
    network: str
    register: str
    register_kid: str
    register_key: dict[str, str]


class Gate:
    """One gate."""

    def __init__(self, folder: Path) -> None:
        """Opens a gate's folder; raises SettingsError `gate_home_missing`."""
        try:
            told = json.loads((folder / _SETTINGS).read_text("utf-8"))
            self.settings = GateSettings(**told)
            key = serialization.load_pem_private_key((folder / _KEY).read_bytes(), None)
        except (OSError, ValueError, TypeError):
            raise SettingsError("gate_home_missing", str(folder)) from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.signer = SoftwareSigner(f"{self.settings.register}#gate-{self.settings.name}", key)
        self.register: PublicKey = from_jwk(self.settings.register_kid, self.settings.register_key)
        self.store = GateStore(folder / _STORE)

    @staticmethod
    def init(folder: Path, settings: GateSettings) -> Gate:
        """Make a gate's folder with a key of its own; raises ConflictError `gate_exists`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / _SETTINGS).exists():
            raise ConflictError("gate_exists", str(folder))
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(folder / _KEY, pem)
        body = {name: getattr(settings, name) for name in GateSettings.__dataclass_fields__}
        write_private(folder / _SETTINGS, json.dumps(body).encode())
        return Gate(folder)

    @property
    def public(self) -> dict[str, str]:
        """The gate's public key, as the register keeps it."""
        return dict(self.signer.public().jwk)

    def close(self) -> None:
        """Lets go of the store."""
        self.store.close()

    # -- online --------------------------------------------------------------------------------

    def take_lease(self, text: str) -> Lease:
        """Keep a lease that the register signed for this gate."""
        lease = self._read(text)
        self.store.keep(lease)
        return lease

    def take_notice(self, text: str, now: datetime) -> bool:
        """Take an order back, by whatever way the notice came; False when it was used before."""
        notice = read_notice(text, self.register, self.settings.network)
        with self.store.transaction() as connection:
            in_time = not self.store.is_used(notice.order)
            if self.store.take_back(connection, notice) and in_time:
                entry = self._entry("VOIDED", now, order=notice.order, reason=notice.reason)
                self.store.write(connection, entry, self.signer)
        return in_time

    def leases(self) -> list[tuple[Lease, str, bool]]:
        """Every lease, why it was taken back ("" when it was not), and whether it was used."""
        return [(self._read(text), void, used) for text, void, used in self.store.leases()]

    def confirmed(self, seq: int) -> None:
        """The register has the journal up to that line.

        Raises RefusedError `gate_restored` when it knows more lines than are here: this store is
        an old copy, and what was used since is forgotten.
        """
        if seq > self.store.last():
            self.store.freeze()
            raise RefusedError("gate_restored", f"the register knows line {seq}")
        if seq > self.store.told():
            self.store.set_told(seq)

    def _read(self, text: str) -> Lease:
        name, key = self.settings.name, self.signer.public().thumbprint()
        lease = read_lease(text, self.register, gate=name, gate_key=key)
        if lease.network != self.settings.network:
            raise RefusedError("gate_lease_untrusted", "it belongs to another network")
        return lease

    # -- at the barrier ------------------------------------------------------------------------

    def challenge(self, now: datetime) -> str:
        """A new question for a collector to sign."""
        question = secrets.token_urlsafe(16)
        self.store.ask(question, now)
        return question

    def admit(self, arrival: Arrival, challenge: str, now: datetime) -> Lease:
        """Spend the order for this truck; when this returns, the barrier may open.

        Every refusal is written to the journal and raised: see `require_admissible`, and
        ConflictError `gate_order_used`, RefusedError `gate_challenge_unknown`, `gate_clock_back`.
        """
        try:
            return self._admit(arrival, challenge, now)
        except TradeError as error:
            self._refuse(arrival, now, error)
            raise

    def _admit(self, arrival: Arrival, challenge: str, now: datetime) -> Lease:
        with self.store.transaction() as connection:
            self.store.require_onward(connection, now)
            if self.store.is_used(arrival.order):
                raise ConflictError("gate_order_used", arrival.order[:16])
            oldest = times.to_ms(now - CHALLENGE_AGE)
            self.store.answered(connection, challenge, oldest)
            found = self.store.lease(arrival.order)
            lease, held = (self._read(found[0]), found[1]) if found else (None, "")
            lease = require_admissible(lease, arrival, challenge, held, now)
            self.store.use(connection, arrival.order, now)
            entry = self._entry(
                "USED",
                now,
                order=lease.order,
                container=lease.container,
                vehicle=arrival.vehicle[:20],
                condition=arrival.condition if arrival.condition in CONDITIONS else "",
                reason=arrival.remarks[:500],
                seals=arrival.seals[:20],
            )
            self.store.write(connection, entry, self.signer)
        return lease

    def _refuse(self, arrival: Arrival, now: datetime, error: TradeError) -> None:
        entry = self._entry(
            "REFUSED",
            now,
            order=arrival.order if _is_digest(arrival.order) else "",
            container=arrival.container[:20],
            vehicle=arrival.vehicle[:20],
            code=error.code,
        )
        with self.store.transaction() as connection:
            self.store.write(connection, entry, self.signer)

    def manual(self, container: str, vehicle: str, person: str, reason: str, now: datetime) -> None:
        """A person opened by the manual procedure: who, why, and for which truck."""
        if not (container and vehicle and person and reason):
            raise MalformedError("gate_malformed", "container, vehicle, person and reason")
        entry = self._entry(
            "MANUAL",
            now,
            container=container[:20],
            vehicle=vehicle[:20],
            person=person[:140],
            reason=reason[:500],
        )
        with self.store.transaction() as connection:
            self.store.write(connection, entry, self.signer)

    def _entry(self, kind: str, now: datetime, **more: Any) -> Entry:
        return Entry(self.settings.name, 0, "", kind, now, **more)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
