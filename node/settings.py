"""Every setting of a node, read once from `pratique.toml` into one frozen value.

An unknown name is an error that tells the nearest right one, before anything starts. Secrets are
named by file, never written here. `PRATIQUE_PORT` overrides `http.port`; nothing else comes from
the environment. The sentence beside each setting is its documentation (`pratique config show`).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import orjson

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")
MAX_BYTES = 256 * 1024
MAX_NUMBER = 2**53 - 1


def _setting(default: T, doc: str, *, low: float | None = None, high: float | None = None) -> T:
    """A setting with its default, its sentence and its bounds."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """[node]: who this is."""

    did: str = _setting("", "The node's did:web, the name others look it up by.")
    name: str = _setting("", "The organisation's name, for people.")
    country: str = _setting("", "ISO 3166-1 alpha-2 code of the country it acts in.")
    locode: str = _setting("", "UN/LOCODE of its place, where it has one.")
    roles: tuple[str, ...] = _setting((), "What it does in the network: port, customs, carrier …")
    platform: str = _setting("", "Its four-character PINT platform code, for platforms.")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """[http]: where it listens."""

    host: str = _setting("127.0.0.1", "The address it listens on.")
    port: int = _setting(8470, "The port it listens on; 0 takes a free one.", low=0, high=65535)
    public_url: str = _setting("", "The address peers use, where it differs from host and port.")
    keepalive: float = _setting(5.0, "Seconds an idle connection is kept.", low=1, high=75)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """[store]: what it remembers in."""

    url: str = _setting("", "Empty: store.sqlite3 in the home; or postgresql+asyncpg://…")
    group_cap: int = _setting(500, "Writes committed together at most.", low=1, high=5000)
    linger: float = _setting(0.002, "Seconds a group waits for more writes.", low=0, high=0.1)
    readers: int = _setting(2, "Reading connections.", low=1, high=32)


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """[limits]: bounds against too much, too deep, too slow."""

    max_body: int = _setting(
        16 * 1024 * 1024,
        "Bytes of a request's body at most, whatever its path allows.",
        low=65536,
        high=64 * 1024 * 1024,
    )
    max_answer: int = _setting(
        16 * 1024 * 1024,
        "Bytes read of a peer's answer at most.",
        low=65536,
        high=256 * 1024 * 1024,
    )
    handler_deadline: float = _setting(
        4.0, "Seconds for reading and answering a request.", low=0.1, high=60
    )
    call_deadline: float = _setting(10.0, "Seconds for a call to a peer.", low=0.1, high=120)
    peer_connections: int = _setting(4, "Connections to one peer at most.", low=1, high=64)


@dataclass(frozen=True, slots=True)
class MembersSettings:
    """[members]: how it follows the member list."""

    check_interval: float = _setting(
        300.0, "Seconds between questions for a newer list.", low=0.1, high=86400
    )


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """[exchange]: how it sends and receives."""

    retry_base: float = _setting(
        1.0, "Seconds of the first retry, before jitter.", low=0.01, high=3600
    )
    retry_cap: float = _setting(900.0, "Seconds between retries at most.", low=0.05, high=86400)
    retry_days: float = _setting(14.0, "Days a message is retried.", low=0.001, high=60)
    batch_items: int = _setting(100, "Messages in one request at most.", low=1, high=100)
    batch_bytes: int = _setting(
        8 * 1024 * 1024, "Bytes in one request at most.", low=65536, high=8 * 1024 * 1024
    )
    poll_interval: float = _setting(
        5.0, "Seconds after which a forgotten outbox row is looked for.", low=0.05, high=300
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """[log]: how it logs."""

    checkpoint_interval: float = _setting(
        1.0, "Seconds between checkpoints while there is something new.", low=0.02, high=60
    )
    mirror_interval: float = _setting(
        10.0, "Seconds between uploads of new entries to the log's mirrors.", low=0.02, high=86400
    )
    follow_interval: float = _setting(
        60.0, "Seconds between looks at every partner's log.", low=0.05, high=86400
    )
    entangle_interval: float = _setting(
        600.0,
        "Seconds between leaves that tell of one partner's checkpoint.",
        low=0.05,
        high=604800,
    )


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """[status]: how its credentials can be revoked."""

    ttl: float = _setting(
        900.0, "Seconds for which others may rely on a status list.", low=1, high=604800
    )
    max_age: float = _setting(
        86400.0,
        "Seconds for which others' lists are relied on at most, whatever they say.",
        low=1,
        high=86400,
    )


@dataclass(frozen=True, slots=True)
class TitleSettings:
    """[title]: the law of titles, and how it orders them where it is a registry."""

    batch_interval: float = _setting(
        0.2, "Seconds in which operations are gathered into a batch.", low=0.01, high=10
    )
    law: str = _setting(
        "", "Governing law of titles issued here; empty: that of its country, else MLETR."
    )
    laws: tuple[str, ...] = _setting((), "Laws under which titles are taken; empty: all known.")
    rulebook: str = _setting(
        "", "File in the home with the rules of titles issued here; empty: the packaged ones."
    )


@dataclass(frozen=True, slots=True)
class CredentialSettings:
    """[credential]: how documents are signed."""

    certificates: str = _setting(
        "", "PEM file in the home with the chain of the credential key, the leaf first; or none."
    )
    countersign: bool = _setting(
        False, "Sign documents with an ML-DSA key as well; where the member list asks, always."
    )


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """[timestamp]: who stamps documents and evidence (RFC 3161)."""

    url: str = _setting("", "The time-stamp server; the member list must name it.")
    interval: float = _setting(
        2.0, "Seconds between looks for issued documents that have no time-stamp yet."
    )


@dataclass(frozen=True, slots=True)
class FetchingSettings:
    """[fetching]: calls to addresses that stand in documents; the member list names their hosts."""

    hosts: tuple[str, ...] = _setting(
        (), "Hosts beside the member list's that may be called: time-stamp servers, for example."
    )
    inside: tuple[str, ...] = _setting(
        (), "Private networks that members may be in, like 10.20.0.0/16; public addresses always."
    )
    quiet: float = _setting(
        60.0, "Seconds a host or an address that failed is left alone.", low=0, high=3600
    )
    watch: float = _setting(
        21600.0,
        "Seconds between comparing members' DID documents with the list; 0 for never.",
        low=0,
        high=604800,
    )


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """[chain]: the EVM chain for anchors and titles, if there is one."""

    urls: tuple[str, ...] = _setting(
        (), "JSON-RPC addresses, or file:<name in the home> for secret ones; none: no chain."
    )
    id: int = _setting(0, "The chain's id; an address with another one is not used.", low=0)
    anchors: str = _setting("", "Address of the AnchorRegistry; empty: nothing is anchored.")
    agree: int = _setting(
        0, "Addresses that must say the same of what is final; 0: two, or the one.", low=0, high=8
    )
    finality: str = _setting("finalized", "finalized (the chain's tag), depth:<blocks> or qbft.")
    validators: tuple[str, ...] = _setting(
        (), "For qbft, each epoch: first block, a colon, the validators' addresses with commas."
    )
    fee: str = _setting("eip1559", "zero, legacy or eip1559.")
    max_fee: float = _setting(100.0, "Gwei for a unit of gas at most.", low=0, high=100000)
    tip: float = _setting(1.0, "Gwei of it for the block's producer (eip1559).", low=0, high=10000)
    stuck_after: float = _setting(
        60.0, "Seconds after which a stuck transaction is sent again, 12.5 % dearer.", low=0.1
    )
    poll_interval: float = _setting(
        2.0, "Seconds between looks at the chain while something is open.", low=0.02, high=600
    )
    call_deadline: float = _setting(10.0, "Seconds for a call to the chain.", low=0.1, high=120)
    anchor_interval: float = _setting(
        600.0, "Seconds between anchors while the log grows.", low=0.1, high=86400
    )
    anchor_leaves: int = _setting(10000, "New leaves that are anchored at once.", low=1)


@dataclass(frozen=True, slots=True)
class PintSettings:
    """[pint]: transfers of bills of lading between platforms."""

    addresses: tuple[str, ...] = _setting(
        (), "CODE=URL of platforms that are in the list by a certificate alone."
    )
    registry_required: bool = _setting(
        True, "Refuse bills that no control tracking registry guards (R19)."
    )
    offer_lifetime: float = _setting(
        3600.0, "Seconds for which a bill is offered to another platform.", low=1, high=604800
    )
    retry_base: float = _setting(
        1.0, "Seconds before an unanswered envelope goes again, before jitter.", low=0.01, high=3600
    )
    retry_cap: float = _setting(
        300.0, "Seconds between two tries of an envelope at most.", low=0.05, high=86400
    )
    max_document: int = _setting(
        11 * 1024 * 1024,
        "Bytes of an additional document at most, as received.",
        low=1024,
        high=16 * 1024 * 1024,
    )
    max_documents: int = _setting(
        64 * 1024 * 1024,
        "Bytes of all additional documents of an envelope at most.",
        low=1024,
        high=1024 * 1024 * 1024,
    )
    max_active: int = _setting(
        1000, "Unfinished transfers of one platform at most.", low=1, high=100_000
    )
    validation_open: bool = _setting(
        True,
        "Tell anybody who knows its code a receiver's name, as PINT platforms expect; else only "
        "members and counterparts (R12).",
    )


@dataclass(frozen=True, slots=True)
class EblSettings:
    """[ebl]: issuance and surrender with carriers and platforms (DCSA ISS and SUR)."""

    counterparts: str = _setting(
        "", "TOML file in the home with carriers and platforms outside the network; or none."
    )
    issuance: str = _setting(
        "rules", "As a platform: rules decide what is issued, or the operator does."
    )
    retry_base: float = _setting(
        1.0, "Seconds before an unanswered call goes again, before jitter.", low=0.01, high=3600
    )
    retry_cap: float = _setting(
        300.0, "Seconds between two tries of a call at most.", low=0.05, high=86400
    )
    retry_days: float = _setting(14.0, "Days a call is tried.", low=0.001, high=60)


@dataclass(frozen=True, slots=True)
class OriginSettings:
    """[origin]: proofs of origin between authorities."""

    tell_issuers: bool = _setting(
        False, "Tells the issuer of a lost proof how much here stood on it: how many, not which."
    )


@dataclass(frozen=True, slots=True)
class VcApiSettings:
    """[vc_api]: a VC-API for conformance tests, in a test network or in none."""

    enabled: bool = _setting(False, "Issues and verifies over HTTPS for whoever asks; for tests.")
    port: int = _setting(8471, "Its port on loopback; 0 takes a free one.", low=0, high=65535)
    certificate: str = _setting("", "PEM file of its certificate; empty: a self-signed one.")
    private_key: str = _setting("", "PEM file of the certificate's key.")
    resources: str = _setting("", "Folder of related resources retrieved before, with index.json.")


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """[telemetry]: what it tells its operator."""

    log_level: str = _setting("info", "debug, info, warning or error.")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    node: NodeSettings = NodeSettings()
    http: HttpSettings = HttpSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    members: MembersSettings = MembersSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    log: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()
    title: TitleSettings = TitleSettings()
    credential: CredentialSettings = CredentialSettings()
    timestamp: TimestampSettings = TimestampSettings()
    fetching: FetchingSettings = FetchingSettings()
    chain: ChainSettings = ChainSettings()
    pint: PintSettings = PintSettings()
    ebl: EblSettings = EblSettings()
    origin: OriginSettings = OriginSettings()
    vc_api: VcApiSettings = VcApiSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as `config show` lists it."""

    name: str
    value: Any
    default: Any
    doc: str


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `file` (TOML, at most 256 KiB); raises SettingsError with a pointer."""
    try:
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError("settings_unreadable", f"{file}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise SettingsError("settings_unreadable", f"{file} is larger than 256 KiB")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("settings_unreadable", f"{file.name}: {error}") from None
    if "PRATIQUE_PORT" in environment:
        table.setdefault("http", {})["port"] = _port(environment["PRATIQUE_PORT"])
    return parse(table)


def parse(table: Mapping[str, Any]) -> Settings:
    """Settings from nested mappings; the same checks as for a file."""
    return _build(Settings, table, "")


def render(settings: Settings) -> str:
    """TOML text of what differs from the defaults; `parse` reads it back to an equal value."""
    lines: list[str] = []
    for section in fields(Settings):
        chosen = [item for item in describe(settings) if item.name.startswith(section.name + ".")]
        changed = [item for item in chosen if item.value != item.default]
        if changed:
            lines += [f"[{section.name}]"]
            lines += [f"{item.name.partition('.')[2]} = {_toml(item.value)}" for item in changed]
            lines += [""]
    return "\n".join(lines)


def describe(settings: Settings) -> Iterator[Described]:
    """Every setting: dotted name, value in force, default and sentence."""
    for section in fields(settings):
        values = getattr(settings, section.name)
        for entry in fields(values):
            name = f"{section.name}.{entry.name}"
            value = getattr(values, entry.name)
            yield Described(name, value, entry.default, str(entry.metadata["doc"]))


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    # A JSON string or list of strings is valid TOML: same quotes, same escapes.
    return orjson.dumps(list(value) if isinstance(value, tuple) else value).decode()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise SettingsError("setting_bad", "PRATIQUE_PORT is not a number")
    return int(text)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: type[T], table: Mapping[str, Any], prefix: str) -> T:
    known = {entry.name: entry for entry in fields(cast("type[Settings]", kind))}
    for name in table:
        if name not in known:
            raise _unknown(f"{prefix}{name}", name)
    values = {name: _value(known[name], kind, table[name], prefix) for name in table}
    return kind(**values)


def _value(entry: Field[Any], kind: type, given: Any, prefix: str) -> Any:
    wanted = _hints(kind)[entry.name]
    name = f"{prefix}{entry.name}"
    if isinstance(wanted, type) and is_dataclass(wanted):
        if not isinstance(given, dict):
            raise _bad(name, "it is a table")
        return _build(wanted, given, f"{name}.")
    value = _typed(name, wanted, given)
    low, high = entry.metadata["low"], entry.metadata["high"]
    if low is not None and not low <= value <= (high or MAX_NUMBER):
        raise _bad(name, f"it lies between {low} and {high or MAX_NUMBER}")
    return value


def _typed(name: str, wanted: Any, given: Any) -> Any:
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)[0]
        if not isinstance(given, list) or not all(isinstance(item, inner) for item in given):
            raise _bad(name, "it is a list of texts")
        return tuple(given)
    if wanted is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if not isinstance(given, wanted) or (isinstance(given, bool) and wanted is not bool):
        kinds = {
            str: "a text in quotes",
            int: "a whole number",
            float: "a number",
            bool: "true or false",
        }
        raise _bad(name, f"it is {kinds[wanted]}")
    return given


def _bad(name: str, why: str) -> SettingsError:
    return SettingsError("setting_bad", f"{name}: {why}", pointer="/" + name.replace(".", "/"))


@cache
def _names() -> tuple[str, ...]:
    sections = [section.name for section in fields(Settings)]
    return (*sections, *(item.name for item in describe(Settings())))


def _unknown(full: str, last: str) -> SettingsError:
    """Nearest by the whole dotted name, else by its last part in any section."""
    near = difflib.get_close_matches(full, _names(), 1, 0.6)
    if not near:
        by_last = {name.rpartition(".")[2]: name for name in _names()}
        near = [by_last[hit] for hit in difflib.get_close_matches(last, by_last, 1, 0.6)]
    hint = f"; did you mean {near[0]}?" if near else ""
    detail, pointer = f"there is no setting {full}{hint}", "/" + full.replace(".", "/")
    if near:
        return SettingsError("setting_unknown", detail, pointer=pointer, nearest=near[0])
    return SettingsError("setting_unknown", detail, pointer=pointer)
