"""What is known of a bill already: DUPE for the same again, DISE for another history."""

from __future__ import annotations

from dataclasses import replace

from protocols.pint import signed
from protocols.pint.chain import following
from protocols.pint.judgement import Outcome
from protocols.pint.words import Action, Response
from tests.support import pint_world as w
from tests.unit.pint.judging import judged


def test_the_same_envelope_again_is_a_duplicate_of_what_was_accepted() -> None:
    document, texts = w.simple()
    paper = w.document_of(b"one")
    platform = w.Platform()
    platform.accept(platform.judge(w.pack(document, texts)))
    other = w.document_of(b"two", "never sent.pdf")
    data = w.pack(document, texts, supporting=(paper, other))
    again = platform.judge(data, held={paper.checksum})
    assert again.outcome is Outcome.DUPLICATE
    finished = again.finished()
    assert finished.response is Response.DUPE
    assert finished.duplicate_of == texts[-1]
    assert finished.received == (paper.checksum,)


def test_an_entry_signed_again_is_a_duplicate_even_under_a_manifest_of_before() -> None:
    document = w.bill()
    agent = w.party("agent", "OUTS")
    out = [w.act(Action.TRANSFER, w.BUYER, agent, minute=2)]
    onward = [w.act(Action.TRANSFER, agent, w.OTHER, minute=3)]
    texts = w.chain_of(w.first(document), out, onward)
    platform, data = w.Platform("FARR"), w.pack(document, texts, by="OUTS")
    platform.accept(platform.judge(data))
    again = w.resigned(texts[-1], w.signer_of("OUTS"))
    assert again != texts[-1]
    stale = w.body(data, envelopeTransferChain=[*texts[:-1], again])
    answer = platform.judge(stale)
    assert answer.outcome is Outcome.DUPLICATE
    assert answer.finished().duplicate_of == texts[-1]
    assert answer.finished().last == signed.checksum(again)


def test_an_altered_entry_is_disputed_even_under_a_manifest_of_before() -> None:
    document, texts = w.simple()
    platform, data = w.Platform(), w.pack(document, texts)
    platform.accept(platform.judge(data))
    altered = w.chain_of(w.first(document, w.ISSUE, replace(w.TO_BUYER, recipient=w.BANK)))
    for body in (w.body(data, envelopeTransferChain=altered), w.pack(document, altered)):
        assert judged(body, platform) == ("PINT-09", "pint_disputed", "DISE")


def test_a_chain_that_leaves_out_what_is_known_is_disputed() -> None:
    document = w.bill()
    endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
    moved = w.act(Action.TRANSFER, w.SHIPPER, w.BUYER, minute=2)
    texts = w.chain_of(w.first(document, w.ISSUE, endorsed), [moved])
    platform = w.Platform()
    whole = platform.judge(w.pack(document, texts))
    platform.accept(whole)
    cut = w.pack(document, texts[:1])
    assert judged(cut, platform) == ("PINT-09", "pint_disputed", "DISE")


def test_a_notice_then_the_transfer_are_two_envelopes_of_one_chain() -> None:
    document = w.bill()
    endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
    texts = w.chain_of(w.first(document, w.ISSUE, endorsed))
    platform = w.Platform()
    notice = platform.judge(w.pack(document, texts))
    assert notice.outcome is Outcome.READY
    assert not notice.moves_possession
    assert notice.state is not None
    assert (notice.state.possessor, notice.state.holder) == (w.SHIPPER, w.BUYER)
    platform.accept(notice)
    moved = w.act(Action.TRANSFER, w.SHIPPER, w.BUYER, minute=2)
    more = [*texts, following(texts, "HOME", [moved]).sign(w.signer_of("HOME"))]
    further = platform.judge(w.pack(document, more))
    assert further.outcome is Outcome.READY
    assert further.moves_possession
    platform.accept(further)
    # The notice again is a duplicate of the notice, though the chain went on.
    again = platform.judge(w.pack(document, texts)).finished()
    assert again.duplicate_of == texts[-1]


def test_a_chain_that_goes_on_from_another_signature_than_the_accepted_is_disputed() -> None:
    document = w.bill()
    agent = w.party("agent", "OUTS")
    issue = w.act(Action.ISSUE, w.party("nhl", "OUTS"), agent)
    entry = w.first(document, issue, w.act(Action.TRANSFER, agent, w.BUYER, minute=1))
    entry = replace(entry, platform="OUTS")
    accepted, other = entry.sign(w.signer_of("OUTS")), entry.sign(w.signer_of("OUTS"))
    assert accepted != other
    platform = w.Platform()
    platform.accept(platform.judge(w.pack(document, [accepted], by="OUTS")))
    back = w.act(Action.TRANSFER, w.BUYER, w.SHIPPER, minute=2)
    again = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=3)
    chain = [other, following([other], "AWAY", [back]).sign(w.signer_of("AWAY"))]
    chain.append(following(chain, "HOME", [again]).sign(w.signer_of("HOME")))
    assert judged(w.pack(document, chain), platform) == ("PINT-09", "pint_disputed", "DISE")
