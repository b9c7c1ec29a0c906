"""JSON-LD contexts the operator imported: files under `<home>/contexts/`, pinned by SHA-256.

Nothing is ever fetched. A well-known context has its digest in the package (`schemas/data/
contexts.json`: facts, never bodies); any other is pinned by the digest the operator gives. A body
that is not the one its pin names is refused at import, and a stored one that changed afterwards
keeps the node from starting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from node.home import write_private
from protocols.credentials import jsonld
from protocols.digest import sha256
from schemas import strict_json
from schemas.errors import (
    MalformedError,
    NotFoundError,
    RefusedError,
    SettingsError,
    TooLargeError,
    TradeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from schemas.strict_json import JsonValue

MAX_BYTES = 512 * 1024
MAX_CONTEXTS = 500
INDEX = "index.json"
_URL = re.compile(r"https?://[!#-\[\]-~]{1,1000}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    """A context's URL and the SHA-256 (hex) of its body; title is empty for the operator's own."""

    url: str
    sha256: str
    title: str = ""


@lru_cache(maxsize=1)
def well_known() -> tuple[Pin, ...]:
    """The contexts whose digests are facts: one pin for each accepted body of each."""
    file = resources.files("schemas") / "data" / "contexts.json"
    entries = strict_json.loads_object(file.read_bytes())["contexts"]
    assert isinstance(entries, list)
    pins = []
    for entry in entries:
        assert isinstance(entry, dict)
        url, title, digests = entry["url"], entry["title"], entry["sha256"]
        assert isinstance(digests, list)
        pins += [Pin(str(url), str(digest), str(title)) for digest in digests]
    return tuple(pins)


def pin_of(body: bytes, url: str | None = None, digest: str | None = None) -> Pin:
    """The pin that a body answers to.

    url, digest: the operator's; without them the body must be a well-known one. Raises RefusedError
    `context_differs` (another body than the pin's), NotFoundError `context_unknown`.
    """
    found = sha256(body).hex()
    known = [pin for pin in well_known() if pin.url == url]
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise MalformedError("context_pin_malformed", "the digest is SHA-256 in lower-case hex")
    if known or digest is not None:
        wanted = {pin.sha256 for pin in known} or {found}
        if found not in wanted or digest not in (None, found):
            raise RefusedError("context_differs", f"{url or 'the file'} has SHA-256 {found}")
    if known:
        return next(pin for pin in known if pin.sha256 == found)
    if url is None:
        return _known_body(found)
    if digest is None:
        raise NotFoundError("context_unknown", f"{url}: give --sha256 {found} if that is right")
    if not _URL.fullmatch(url):
        raise MalformedError("context_pin_malformed", "the URL of a context is http or https")
    return Pin(url, digest)


def _known_body(digest: str) -> Pin:
    for pin in well_known():
        if pin.sha256 == digest:
            return pin
    raise NotFoundError("context_unknown", f"SHA-256 {digest} is no well-known context's")


class ContextStore:
    """The imported contexts of one folder. `bodies` is what canonicalisation works with."""

    def __init__(self, folder: Path | None = None) -> None:
        """Empty; `load` reads a folder."""
        self._folder = folder
        self._pins: dict[str, Pin] = {}
        self._bodies: dict[str, JsonValue] = {}
        self._resources: dict[str, bytes] = {}

    @classmethod
    def load(cls, folder: Path) -> ContextStore:
        """Everything imported into a folder; SettingsError `context_damaged` names what is not.

        A folder that does not exist holds none.
        """
        store = cls(folder)
        for pin, fault in examine(folder):
            if fault is not None:
                raise SettingsError("context_damaged", f"{pin.url}: {fault}")
            store._keep(pin, _read(folder / _name(pin)))
        return store

    @classmethod
    def of_files(cls, folder: Path) -> ContextStore:
        """Those of a folder's files that are well-known contexts, or an imported folder's."""
        if (folder / INDEX).is_file() and _is_index(folder / INDEX):
            return cls.load(folder)
        store = cls()
        for file in sorted(folder.iterdir())[:MAX_CONTEXTS] if folder.is_dir() else [folder]:
            if not file.is_file() or file.stat().st_size > MAX_BYTES:
                continue
            body = _read(file)
            try:
                store._keep(_known_body(sha256(body).hex()), body)
            except NotFoundError:
                continue
        return store

    @property
    def bodies(self) -> Mapping[str, JsonValue]:
        """URL → the value of its `@context`."""
        return self._bodies

    @property
    def resources(self) -> Mapping[str, bytes]:
        """URL → the bytes that were imported."""
        return self._resources

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What is imported, by URL."""
        return tuple(self._pins[url] for url in sorted(self._pins))

    def add(self, body: bytes, url: str | None = None, digest: str | None = None) -> Pin:
        """Import one context; the same one again changes nothing.

        Raises what `pin_of` raises, MalformedError json_* or `jsonld_context_malformed`,
        TooLargeError, RefusedError `context_differs` when the URL is pinned to another body.
        """
        if len(body) > MAX_BYTES:
            raise TooLargeError("context_too_large", f"more than {MAX_BYTES} bytes")
        pin = pin_of(body, url, digest)
        held = self._pins.get(pin.url)
        if held is not None and held.sha256 != pin.sha256:
            raise RefusedError("context_differs", f"{pin.url} is imported as {held.sha256}")
        if held is None and len(self._pins) >= MAX_CONTEXTS:
            raise TooLargeError("context_too_large", f"more than {MAX_CONTEXTS} contexts")
        self._keep(pin, body)
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._folder / _name(pin), body)
            self._write_index()
        return pin

    def remove(self, url: str) -> None:
        """Forget a context; NotFoundError `context_not_imported`."""
        pin = self._pins.pop(url, None)
        if pin is None:
            raise NotFoundError("context_not_imported", url[:400])
        del self._bodies[url], self._resources[url]
        if self._folder is not None:
            self._write_index()
            if all(other.sha256 != pin.sha256 for other in self._pins.values()):
                (self._folder / _name(pin)).unlink(missing_ok=True)

    def _keep(self, pin: Pin, body: bytes) -> None:
        members = strict_json.loads_object(body, max_bytes=MAX_BYTES)
        self._bodies[pin.url] = jsonld.read_context(members)
        self._resources[pin.url] = body
        self._pins[pin.url] = pin

    def _write_index(self) -> None:
        assert self._folder is not None
        members: dict[str, JsonValue] = {pin.url: pin.sha256 for pin in self.pins}
        index = strict_json.canonical({"contexts": members})
        write_private(self._folder / INDEX, index)


def examine(folder: Path) -> Iterator[tuple[Pin, str | None]]:
    """Every imported context with what is wrong with it, or None. Bodies are read one by one.

    Raises SettingsError `context_damaged` when the index itself cannot be read.
    """
    if not (folder / INDEX).is_file():
        return
    for pin in _index(folder / INDEX):
        yield pin, _fault(folder, pin)


def _fault(folder: Path, pin: Pin) -> str | None:
    try:
        body = _read(folder / _name(pin))
        if sha256(body).hex() != pin.sha256:
            return "the stored body is not the one that was pinned"
        known = {each.sha256 for each in well_known() if each.url == pin.url}
        if known and pin.sha256 not in known:
            return "the pin is not the well-known one"
        jsonld.read_context(strict_json.loads_object(body, max_bytes=MAX_BYTES))
    except OSError as error:
        return f"the stored body cannot be read: {error.strerror}"
    except TradeError as error:
        return error.detail or error.code
    return None


def _is_index(file: Path) -> bool:
    try:
        _index(file)
    except SettingsError:
        return False
    return True


def _index(file: Path) -> list[Pin]:
    fault = SettingsError("context_damaged", f"{file.name} cannot be read")
    try:
        members = strict_json.loads_object(_read(file), max_bytes=MAX_BYTES).get("contexts")
    except TradeError:
        raise fault from None
    if not isinstance(members, dict) or len(members) > MAX_CONTEXTS:
        raise fault
    titles = {pin.url: pin.title for pin in well_known()}
    pins = [Pin(url, str(digest), titles.get(url, "")) for url, digest in members.items()]
    if not all(_DIGEST.fullmatch(pin.sha256) for pin in pins):
        raise fault
    return pins


def _name(pin: Pin) -> str:
    return f"{pin.sha256}.jsonld"


def _read(file: Path) -> bytes:
    """The file's bytes, one more than allowed at most: whoever parses them refuses those."""
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
