"""What is believed of chain servers that fail, lag, contradict each other or lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import rlp

from ledger.chain_client import Alarm, ChainClient, shown
from ledger.chain_settings import ChainConfig, FeePolicy, Finality, read_finality
from ledger.chain_values import Block, header_of, octets
from protocols.evm.calls import ANCHOR
from protocols.evm.keys import SoftwareEvmSigner, checksum_text, keccak256
from protocols.evm.proof import verify_event
from protocols.evm.title import word
from protocols.evm.transaction import Fee, Transaction, sign
from schemas.errors import SettingsError, UnavailableError
from tests.support.model_chain import (
    BASE_FEE,
    CHAIN_ID,
    CODE,
    CONTRACT,
    ModelChain,
    ModelRpc,
    anchored,
    read,
)

SIGNER = SoftwareEvmSigner(keccak256(b"relayer"))
DEPTH_2 = Finality("depth", 2)
ORIGIN = b"o" * 32


class World:
    """Servers of one chain (or of their own ones) and a client of all."""

    def __init__(self, *rpcs: ModelRpc, **changes: Any) -> None:
        self.alarms: list[Alarm] = []
        urls = tuple(f"http://rpc{number}" for number in range(len(rpcs)))
        config = ChainConfig(urls, CHAIN_ID, changes.pop("finality", DEPTH_2), **changes)
        places = dict(zip(urls, rpcs, strict=True))
        self.client = ChainClient(config, alarm=self.alarms.append, connect=places.__getitem__)

    def codes(self) -> list[str]:
        return [alarm.code for alarm in self.alarms]


def anchor(chain: ModelChain, nonce: int = 0, size: int = 5) -> bytes:
    data = ANCHOR + ORIGIN + word(size) + b"r" * 32
    made = sign(Transaction(CHAIN_ID, nonce, CONTRACT, data, 80_000, Fee(10**10, 1)), SIGNER)
    chain.pool[(SIGNER.address, nonce)] = read(made.raw)
    return made.hash


async def test_a_wrong_chain_id_is_refused_at_start_and_alarmed() -> None:
    wrong = ModelRpc(ModelChain())
    wrong.id = 1
    world = World(wrong)
    with pytest.raises(SettingsError) as caught:
        await world.client.start()
    assert caught.value.code == "chain_id_mismatch"
    assert world.codes() == ["chain_id_mismatch"]


@pytest.mark.parametrize("found", [b"", b"other code"])
async def test_other_code_at_a_contract_is_refused_at_start(found: bytes) -> None:
    rpc = ModelRpc(ModelChain())
    rpc.contract_code = found
    world = World(rpc)
    world.client.require_code(CONTRACT, keccak256(CODE))
    with pytest.raises(SettingsError) as caught:
        await world.client.start()
    assert caught.value.code == "chain_code_mismatch"


async def test_an_address_of_another_chain_is_never_read_from_when_others_answer() -> None:
    chain = ModelChain()
    wrong, right = ModelRpc(chain), ModelRpc(chain)
    wrong.id, wrong.answer, right.answer = 1, b"wrong", b"right"
    world = World(wrong, right)
    assert await world.client.call(CONTRACT, b"") == b"right"
    assert world.client.standing()[0].fault


async def test_the_next_address_answers_and_the_lost_one_is_checked_again_on_return() -> None:
    chain = ModelChain()
    first, second = ModelRpc(chain), ModelRpc(chain)
    world = World(first, second)
    await world.client.start()
    first.down = True
    assert await world.client.balance(SIGNER.address) == 7
    first.down, first.id = False, 99
    second.down = True
    with pytest.raises(UnavailableError):
        await world.client.balance(SIGNER.address)
    assert "chain_id_mismatch" in world.codes()


async def test_an_unreachable_chain_is_unavailable_and_never_a_refusal() -> None:
    rpc = ModelRpc(ModelChain())
    rpc.down = True
    world = World(rpc)
    await world.client.start()
    for call in (world.client.latest, world.client.final_number, world.client.fee):
        with pytest.raises(UnavailableError):
            await call()
    with pytest.raises(UnavailableError):
        await world.client.send(b"raw")
    with pytest.raises(UnavailableError):
        await world.client.sightings(bytes(32))


async def test_r21_final_is_what_enough_addresses_have_reached() -> None:
    ahead, behind = ModelChain(), ModelChain()
    ahead.mine(10)
    behind.mine(4)
    world = World(ModelRpc(ahead), ModelRpc(behind), agree=2)
    assert await world.client.final_number() == 2
    assert await World(ModelRpc(ahead), ModelRpc(behind)).client.final_number() == 8


async def test_the_finalized_tag_and_qbft_say_what_is_final() -> None:
    chain = ModelChain()
    chain.mine(5)
    rpc = ModelRpc(chain)
    rpc.finalized = 3
    assert await World(rpc, finality=Finality("finalized")).client.final_number() == 3
    qbft = read_finality("qbft", [f"0:{checksum_text(b'v' * 20)}"])
    assert await World(rpc, finality=qbft).client.final_number() == 5


async def test_r21_two_addresses_that_contradict_each_other_make_nothing_final() -> None:
    honest, forked = ModelChain(), ModelChain(salt=b"another history")
    honest.mine(4)
    forked.mine(4)
    world = World(ModelRpc(honest), ModelRpc(forked), agree=2)
    with pytest.raises(UnavailableError) as caught:
        await world.client.block(1)
    assert caught.value.code == "chain_disagrees"
    assert world.codes() == ["chain_disagrees"]


async def test_the_majority_is_believed_and_the_liar_alarmed() -> None:
    honest, forked = ModelChain(), ModelChain(salt=b"another history")
    honest.mine(4)
    forked.mine(4)
    world = World(ModelRpc(forked), ModelRpc(honest), ModelRpc(honest), agree=2)
    assert (await world.client.block(1)).hash == honest.blocks[1].block.hash
    assert world.codes() == ["chain_disagrees"]


async def test_too_few_answers_are_no_agreement() -> None:
    chain = ModelChain()
    chain.mine(4)
    away = ModelRpc(chain)
    away.down = True
    world = World(ModelRpc(chain), away, agree=2)
    for call in (
        world.client.block(1),
        world.client.final_number(),
        world.client.sightings(ORIGIN),
    ):
        with pytest.raises(UnavailableError) as caught:
            await call
        assert caught.value.code == "chain_unconfirmed"
    with pytest.raises(UnavailableError):
        await World(ModelRpc(chain)).client.block(99)


async def test_a_header_that_does_not_hash_to_its_hash_is_a_lie() -> None:
    chain = ModelChain()
    block = chain.blocks[0].block
    chain.blocks[0].block = replace(block, hash=b"x" * 32)
    world = World(ModelRpc(chain))
    with pytest.raises(UnavailableError):
        await world.client.block(0)
    assert world.codes() == ["chain_lies"]
    chain.blocks[0].block = replace(block, header=b"no header")
    with pytest.raises(UnavailableError):
        await world.client.block(0)


async def test_receipts_that_do_not_lead_to_the_header_are_a_lie() -> None:
    chain = ModelChain()
    transaction = anchor(chain)
    chain.mine(3)
    lying = ModelRpc(chain)

    async def forged(block: Block) -> tuple[Any, ...]:
        return tuple(replace(r, encoded=r.encoded + b"!") for r in chain.blocks[1].receipts)

    lying.receipts = forged
    world = World(lying, ModelRpc(chain))
    proven = await world.client.prove(1, chain.blocks[1].block.hash)
    assert proven is not None
    assert proven.receipt(transaction) is not None
    assert world.codes() == ["chain_lies"]
    alone = World(lying)
    with pytest.raises(UnavailableError):
        await alone.client.prove(1, chain.blocks[1].block.hash)


async def test_events_are_told_alike_proven_and_never_left_out_unnoticed() -> None:
    chain = ModelChain()
    for nonce in range(3):
        anchor(chain, nonce, nonce + 1)
    chain.mine(3)
    blind = ModelRpc(chain)
    client = World(ModelRpc(chain), ModelRpc(chain), agree=2).client
    found = await client.final_logs(CONTRACT, [None], 0, 3)
    assert [each.log for each in found] == [
        anchored(ORIGIN, SIGNER.address, size, b"r" * 32) for size in (1, 2, 3)
    ]
    proof = await client.prove_log(found[2])
    assert verify_event(proof, CONTRACT).log == found[2].log
    blind.blind = True
    world = World(ModelRpc(chain), blind, agree=2)
    with pytest.raises(UnavailableError):
        await world.client.final_logs(CONTRACT, [None], 0, 3)
    assert world.codes() == ["chain_disagrees"]
    for forged in (
        replace(found[0], index=1),
        replace(found[0], transaction=bytes(32)),
        replace(found[0], block_hash=bytes(32)),
    ):
        with pytest.raises(UnavailableError):
            await client.prove_log(forged)
    with pytest.raises(ValueError, match="blocks"):
        await client.final_logs(CONTRACT, [], 0, 10**6)


async def test_calls_at_a_block_must_be_answered_alike() -> None:
    chain = ModelChain()
    one, two = ModelRpc(chain), ModelRpc(chain)
    one.answer = two.answer = b"same"
    client = World(one, two, agree=2).client
    assert await client.call(CONTRACT, b"", at=0) == b"same"
    two.answer = b"other"
    with pytest.raises(UnavailableError):
        await client.call(CONTRACT, b"", at=0)


async def test_fees_follow_the_mode_and_stop_at_the_cap() -> None:
    rpc = ModelRpc(ModelChain())

    async def fee(mode: Any, cap: int) -> Fee | None:
        return await World(rpc, fee=FeePolicy(mode, cap, 10**9)).client.fee()

    assert await fee("zero", 0) == Fee(0)
    assert await fee("legacy", BASE_FEE) == Fee(BASE_FEE)
    assert await fee("legacy", BASE_FEE - 1) is None
    assert await fee("eip1559", 10**12) == Fee(2 * BASE_FEE + 10**9, 10**9)
    assert await fee("eip1559", BASE_FEE + 10**9) == Fee(BASE_FEE + 10**9, 10**9)
    assert await fee("eip1559", BASE_FEE) is None


async def test_closing_closes_what_was_opened() -> None:
    rpc = ModelRpc(ModelChain())
    world = World(rpc)
    assert await world.client.latest() == 0
    await world.client.close()
    assert rpc.closed


# QBFT: Besu's extraData is RLP [vanity, [validators], vote, round, [seals]].


VALIDATORS = [SoftwareEvmSigner(keccak256(b"validator%d" % number)) for number in range(4)]


def sealed_by(count: int, round_: int = 0) -> Any:
    def made(told: dict[str, Any]) -> tuple[bytes, bytes]:
        named = [each.address for each in VALIDATORS]
        seat = round_.to_bytes(4, "big")

        def extra(number: bytes, seals: list[bytes]) -> bytes:
            return bytes(rlp.encode([bytes(32), named, [], number, seals]))

        def digest(number: bytes) -> bytes:
            told["extraData"] = extra(number, [])
            return keccak256(header_of(told | {"hash": bytes(32)}).header)

        committed, name = digest(seat), digest(b"")
        seals = [each.sign_digest(committed) for each in VALIDATORS[:count]]
        return name, extra(seat, [s.to_bytes()[:64] + bytes([s.v - 27]) for s in seals])

    return made


def pinned() -> Finality:
    listed = ",".join(checksum_text(each.address) for each in VALIDATORS)
    return read_finality("qbft", [f"0:{listed}"])


async def test_a_qbft_block_needs_the_seals_of_the_pinned_quorum() -> None:
    for round_ in (0, 2):
        chain = ModelChain(extra=sealed_by(3, round_))
        chain.mine(2)
        assert (await World(ModelRpc(chain), finality=pinned()).client.block(1)).number == 1
    short = ModelChain(extra=sealed_by(2))
    world = World(ModelRpc(short), finality=pinned())
    with pytest.raises(UnavailableError) as caught:
        await world.client.block(0)
    assert caught.value.code == "chain_unsealed"
    assert world.codes() == ["chain_unsealed"]


async def test_seals_of_validators_that_are_not_pinned_for_the_block_count_for_nothing() -> None:
    chain = ModelChain(extra=sealed_by(4))
    chain.mine(5)
    others = ",".join(checksum_text(bytes([number]) * 20) for number in range(1, 5))
    ours = ",".join(checksum_text(each.address) for each in VALIDATORS)
    client = World(
        ModelRpc(chain), finality=read_finality("qbft", [f"3:{others}", f"1:{ours}"])
    ).client
    assert (await client.block(2)).number == 2
    with pytest.raises(UnavailableError):
        await client.block(3)
    with pytest.raises(SettingsError):
        await client.block(0)


@pytest.mark.parametrize(
    ("text", "validators"),
    [
        ("qbft", []),
        ("final", []),
        ("depth:", []),
        ("depth:99999999", []),
        ("depth:-1", []),
        ("finalized", [f"0:{checksum_text(b'v' * 20)}"]),
        ("qbft", ["0:0x00"]),
        ("qbft", [f"x:{checksum_text(b'v' * 20)}"]),
        ("qbft", [f"0:{checksum_text(b'v' * 20)},{checksum_text(b'v' * 20)}"]),
        ("qbft", [f"0:{checksum_text(b'v' * 20)}"] * 2),
    ],
)
def test_a_finality_that_cannot_be_meant_is_refused(text: str, validators: list[str]) -> None:
    with pytest.raises(SettingsError):
        read_finality(text, validators)


@pytest.mark.parametrize(
    "config",
    [
        {"urls": ()},
        {"urls": ("http://a", "http://a")},
        {"chain_id": 0},
        {"agree": 2},
        {"agree": 0},
    ],
)
def test_a_chain_that_cannot_be_meant_is_refused(config: dict[str, Any]) -> None:
    told: dict[str, Any] = {"urls": ("http://a",), "chain_id": 1, "finality": DEPTH_2}
    with pytest.raises(SettingsError):
        ChainConfig(**(told | config))


def test_secrets_in_an_address_are_not_shown() -> None:
    assert shown("https://user:word@rpc.example/v3/key?token=1") == "https://rpc.example"


@pytest.mark.parametrize("value", [-1, True, None, 1.5])
def test_garbage_is_no_value(value: Any) -> None:
    from ledger.chain_values import number

    with pytest.raises((ValueError, TypeError)):
        number(value)
    with pytest.raises(ValueError, match="bytes"):
        octets(b"short", 32)
