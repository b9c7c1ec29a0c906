"""Nothing altered is ever accepted, and whatever is sent or signed gets an answer."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import base64url
from protocols.pint import signed
from protocols.pint.judgement import Outcome
from schemas import strict_json
from tests.support import pint_world as w
from tests.unit.pint.judging import judged, two_hops

# Nothing altered is ever accepted.


@settings(deadline=None)
@given(st.data())
def test_an_altered_chain_is_never_ready(data: st.DataObject) -> None:
    document, texts = two_hops()
    good = strict_json.loads_object(w.pack(document, texts, by="AWAY"))
    at = data.draw(st.integers(0, 1))
    parts = texts[at].split(".")
    part = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[part]) - 1))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    letter = data.draw(st.sampled_from(letters))
    parts[part] = parts[part][:place] + letter + parts[part][place + 1 :]
    altered = [*texts]
    altered[at] = ".".join(parts)
    body = strict_json.canonical(good | {"envelopeTransferChain": altered})
    judgement = w.Platform("FARR").judge(body)
    assert (judgement.outcome is Outcome.READY) == (altered == texts)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    assert w.Platform().judge(data).outcome is Outcome.MALFORMED


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_any_signed_object_in_the_place_of_an_entry_gets_an_answer(value: dict[str, Any]) -> None:
    document, texts = w.simple()
    text = f"{texts[0].split('.')[0]}.{base64url.encode(_json(value))}.AAAA"
    data = w.body(w.pack(document, texts), envelopeTransferChain=[text])
    assert judged(data)[2] in {"BSIG", "BENV"}


def _json(value: dict[str, Any]) -> bytes:
    import json

    return json.dumps(value).encode()


# Whatever a listed platform signs gets an answer.

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e6, 1e6),
    st.text(max_size=5),
    st.sampled_from(
        ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "HOME", "SIGN", "00" * 32]
    ),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


def _changed(data: st.DataObject, value: Any) -> None:
    """One member or element somewhere in `value` is replaced or left out."""
    node = value
    for _ in range(8):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        below = node[key]
        if isinstance(below, dict | list) and below and data.draw(st.booleans()):
            node = below
            continue
        if data.draw(st.booleans()):
            node[key] = data.draw(VALUES)
        else:
            del node[key]
        return


@settings(deadline=None)
@given(st.data())
def test_whatever_a_platform_signs_or_sends_is_answered(data: st.DataObject) -> None:
    document, texts = w.simple("straight")
    which = data.draw(st.sampled_from(["document", "manifest", "entry", "both"]))
    good = strict_json.loads_object(w.pack(document, texts))
    entry = strict_json.loads_object(signed.parse(texts[0]).payload)
    if which in {"entry", "both"}:
        _changed(data, entry)
    if which in {"document", "both"}:
        _changed(data, document)
    text = signed.sign(strict_json.canonical(entry), signer=w.signer_of("HOME"))
    body = strict_json.loads_object(w.pack(document, [text]))
    if which == "manifest":
        manifest = strict_json.loads_object(
            signed.parse(good["envelopeManifestSignedContent"]).payload
        )
        _changed(data, manifest)
        payload = strict_json.canonical(manifest)
        body["envelopeManifestSignedContent"] = signed.sign(payload, signer=w.signer_of("HOME"))
    judgement = w.Platform().judge(strict_json.canonical(body))
    if judgement.outcome is Outcome.REFUSED:
        assert judgement.finished().status in {409, 422}
    elif judgement.outcome is Outcome.MALFORMED:
        assert judgement.error is not None
        assert judgement.error.status in {400, 413}
    if which == "document" and body["transportDocument"] != good["transportDocument"]:
        assert judgement.outcome in {Outcome.REFUSED, Outcome.MALFORMED}
