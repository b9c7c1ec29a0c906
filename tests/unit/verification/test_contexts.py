"""Contexts pinned by digest: what is imported, refused, kept and noticed when it changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from node.home import Home
from node.verification import contexts
from node.verification.contexts import ContextStore, well_known
from protocols import base64url
from protocols.credentials import multikey, vcdm
from protocols.digest import sha256
from protocols.fields import Fields
from schemas.errors import (
    MalformedError,
    NotFoundError,
    RefusedError,
    SettingsError,
    TooLargeError,
    TradeError,
)
from tests.shared import shared_path

if TYPE_CHECKING:
    from pathlib import Path

V2 = "https://www.w3.org/ns/credentials/v2"
OWN = json.dumps({"@context": {"word": "https://a.example/word"}}).encode()
OWN_URL = "https://a.example/v1"


def body(name: str) -> bytes:
    return shared_path(f"vectors/credentials/contexts/{name}.json").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Home(tmp_path).contexts


def test_every_shared_context_is_a_well_known_one() -> None:
    index = json.loads(shared_path("vectors/credentials/contexts/index.json").read_text())
    pins = {(pin.url, pin.sha256) for pin in well_known()}
    for url, name in index.items():
        data = shared_path(f"vectors/credentials/contexts/{name}").read_bytes()
        assert (url, sha256(data).hex()) in pins
    assert all(pin.title for pin in well_known())


def test_what_is_imported_is_there_after_a_restart(folder: Path) -> None:
    store = ContextStore.load(folder)
    assert store.pins == ()
    assert store.add(body("cred-v2")).url == V2
    store.add(OWN, OWN_URL, sha256(OWN).hex())
    store.add(OWN, OWN_URL, sha256(OWN).hex())
    again = ContextStore.load(folder)
    assert [pin.url for pin in again.pins] == [OWN_URL, V2]
    assert again.bodies == store.bodies
    assert again.resources[OWN_URL] == OWN
    assert ContextStore.of_files(folder).pins == again.pins
    again.remove(OWN_URL)
    assert [pin.url for pin in ContextStore.load(folder).pins] == [V2]
    assert len(list(folder.glob("*.jsonld"))) == 1
    with pytest.raises(NotFoundError, match="context_not_imported"):
        again.remove(OWN_URL)


def test_one_body_under_two_urls_stays_until_both_are_removed(folder: Path) -> None:
    store = ContextStore.load(folder)
    for url in (OWN_URL, OWN_URL + "/"):
        store.add(OWN, url, sha256(OWN).hex())
    store.remove(OWN_URL)
    assert [pin.url for pin in ContextStore.load(folder).pins] == [OWN_URL + "/"]


def test_group_12_a_body_that_differs_from_its_pin_is_refused(folder: Path) -> None:
    store = ContextStore.load(folder)
    changed = body("cred-v2") + b" "
    digest = sha256(changed).hex()
    for url, pin in ((V2, None), (V2, digest), (OWN_URL, "0" * 64), (None, "0" * 64)):
        with pytest.raises(RefusedError, match="context_differs"):
            store.add(changed, url, pin)
    with pytest.raises(NotFoundError, match=digest):
        store.add(changed)
    with pytest.raises(NotFoundError, match=digest):
        store.add(changed, OWN_URL)
    store.add(OWN, OWN_URL, sha256(OWN).hex())
    with pytest.raises(RefusedError, match="context_differs"):
        store.add(changed, OWN_URL, digest)
    assert [pin.url for pin in store.pins] == [OWN_URL]


def test_what_is_no_pin_or_no_context_is_not_imported(folder: Path) -> None:
    store = ContextStore.load(folder)
    for url, digest in (("ftp://a.example/", sha256(OWN).hex()), (OWN_URL, "A" * 64)):
        with pytest.raises(MalformedError, match="context_pin_malformed"):
            store.add(OWN, url, digest)
    for data in (b"{", b"{}", b'{"@context": {"@base": "x"}}'):
        with pytest.raises(MalformedError):
            store.add(data, OWN_URL, sha256(data).hex())
    with pytest.raises(TooLargeError):
        store.add(b" " * (contexts.MAX_BYTES + 1))
    assert not folder.exists()


def test_no_more_contexts_than_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MAX_CONTEXTS", 1)
    store = ContextStore.load(folder)
    store.add(OWN, OWN_URL, sha256(OWN).hex())
    with pytest.raises(TooLargeError):
        store.add(OWN, OWN_URL + "/", sha256(OWN).hex())


@pytest.mark.parametrize("damage", ["changed", "gone", "index", "pin", "no context"])
def test_group_12_a_stored_body_that_changed_is_named(folder: Path, damage: str) -> None:
    store = ContextStore.load(folder)
    pin = store.add(body("cred-v2"))
    file = folder / f"{pin.sha256}.jsonld"
    if damage == "changed":
        file.write_bytes(file.read_bytes() + b" ")
    elif damage == "gone":
        file.unlink()
    elif damage == "index":
        (folder / contexts.INDEX).write_text('{"contexts": {"a": 5}}')
    else:
        other = OWN if damage == "pin" else b"{}"
        digest = sha256(other).hex()
        (folder / f"{digest}.jsonld").write_bytes(other)
        url = V2 if damage == "pin" else OWN_URL
        (folder / contexts.INDEX).write_text(json.dumps({"contexts": {url: digest}}))
    with pytest.raises(SettingsError) as caught:
        ContextStore.load(folder)
    assert caught.value.code == "context_damaged"
    expected = {"index": contexts.INDEX, "no context": OWN_URL}.get(damage, V2)
    assert expected in caught.value.detail


def test_a_folder_of_files_gives_the_well_known_ones(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    (tmp_path / "other.json").write_bytes(OWN)
    (tmp_path / "deep").mkdir()
    (tmp_path / "v2.json").write_bytes(body("cred-v2"))
    (tmp_path / "large.json").write_bytes(b" " * (contexts.MAX_BYTES + 1))
    assert [pin.url for pin in ContextStore.of_files(tmp_path).pins] == [V2]
    assert [pin.url for pin in ContextStore.of_files(tmp_path / "v2.json").pins] == [V2]


# --- the data model with contexts ---------------------------------------------------------------


def store_of(*names: str) -> ContextStore:
    store = ContextStore()
    for name in names:
        store.add(body(name))
    return store


@pytest.mark.parametrize(
    ("members", "good"),
    [
        ({"@context": [V2], "type": "VerifiableCredential"}, True),
        ({"@context": [V2], "type": ["VerifiableCredential", "Unheard"]}, False),
        ({"@context": [V2], "type": ["VerifiableCredential", "urn:heard"]}, True),
        ({"@context": [V2, {"Mine": "urn:mine"}], "type": ["Mine"]}, True),
        ({"@context": [V2, {"Mine": {"@id": "mine"}}], "type": ["Mine"]}, False),
        ({"@context": [V2, {"@vocab": "urn:all:"}], "type": ["Mine"]}, True),
        ({"@context": [V2], "type": "VerifiableCredential", "evidence": [{"type": "No"}]}, False),
        ({"@context": [V2, "https://unknown.example/"], "type": ["Unheard"]}, True),
    ],
)
def test_every_type_means_an_iri_where_the_contexts_are_here(members: dict, good: bool) -> None:
    bodies = store_of("cred-v2").bodies
    if good:
        vcdm.require_meanings(members, bodies)
        return
    with pytest.raises(MalformedError) as caught:
        vcdm.require_meanings(members, bodies)
    assert caught.value.pointer == "/type"


def resources(**more: object) -> Fields:
    return Fields({"relatedResource": [{"id": V2, **more}]}, vcdm.CODE)


def test_a_related_resource_that_is_held_has_the_stated_digests() -> None:
    held = store_of("cred-v2").resources
    sri = "sha384-" + "A" * 64
    multihash = b"\x12\x20" + sha256(held[V2])
    multibase = "u" + base64url.encode(multihash)
    vcdm.require_resources(resources(digestMultibase=multikey.encode_base58(multihash)), held)
    vcdm.require_resources(resources(digestMultibase=multibase), held)
    vcdm.require_resources(resources(digestSRI=sri))
    with pytest.raises(TradeError, match="another digest"):
        vcdm.require_resources(resources(digestSRI=sri), held)
    both = {"digestSRI": sri, "digestMultibase": multibase}
    with pytest.raises(TradeError, match="another digest"):
        vcdm.require_resources(resources(**both), held)


@pytest.mark.parametrize(
    "digests",
    [
        {"digestSRI": "md5-AAAA"},
        {"digestSRI": "sha256-AAAA"},
        {"digestSRI": "sha256-!"},
        {"digestSRI": 5},
        {"digestMultibase": "u!"},
        {"digestMultibase": "zAA"},
        {"digestMultibase": "uEiAA"},
    ],
)
def test_a_related_resource_states_digests_as_the_standard_writes_them(digests: dict) -> None:
    with pytest.raises(MalformedError) as caught:
        vcdm.require_resources(resources(**digests))
    assert caught.value.pointer == f"/relatedResource/{next(iter(digests))}"


@pytest.mark.parametrize(
    "name",
    [
        [],
        5,
        {"@value": 5},
        {"@value": "a", "@language": "not a language"},
        {"@value": "a", "@language": 5},
        {"@value": "a", "@direction": "up"},
        {"@value": "a", "url": "https://a.example/"},
        ["a"],
    ],
)
def test_words_are_texts_or_values_with_a_language(name: object) -> None:
    with pytest.raises(MalformedError):
        vcdm.require_words(Fields({"name": name}, vcdm.CODE))


def test_words_in_several_languages_are_read() -> None:
    words = [{"@value": "a", "@language": "en-GB"}, {"@value": "ا", "@direction": "rtl"}]
    vcdm.require_words(Fields({"name": words, "description": "x"}, vcdm.CODE))
