"""Keys, typed data, call data and events; eth-account, eth-abi and eth-keys are the other word."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import contracts
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm import keys as evm_keys
from protocols.evm import title as evm_title
from protocols.evm import title_text as evm_title_text
from protocols.evm.calls import Act, Log
from protocols.evm.keys import N, Signature, SoftwareEvmSigner
from protocols.evm.title import EvmOperation, Joint, SignedEvmOperation
from protocols.fields import Fields
from protocols.title.json_forms import party_json, read_party
from protocols.title.machine import Bill, Ending, Kind, Party
from schemas.errors import MalformedError, TradeError
from tests.support.evm_world import ACTORS, address, signer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from eth_account import Account
    from eth_account.messages import encode_typed_data
    from eth_keys import keys as eth_keys

CONTRACT = bytes(range(20))
NETWORK = sha256(b"network")
DOMAIN = evm_title.domain_separator(1337, CONTRACT, NETWORK)
SECRETS = st.integers(1, N - 1).map(lambda number: number.to_bytes(32, "big"))
DIGESTS = st.binary(min_size=32, max_size=32)
ADDRESSES = st.sampled_from([address(name) for name in ACTORS])
SECONDS = st.integers(1, 2**33)
TAKES = {Kind.ISSUE, Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
SURRENDERS = {Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT}


@st.composite
def operations(draw: st.DrawFn) -> EvmOperation:
    kind = draw(st.sampled_from(Kind))
    first = kind is Kind.ISSUE
    named = kind in TAKES or (kind in SURRENDERS and draw(st.booleans()))
    bill = draw(st.sampled_from([Bill.STRAIGHT, Bill.TO_ORDER, Bill.BLANK])) if first else None
    return EvmOperation(
        title=draw(DIGESTS),
        seq=0 if first else draw(st.integers(1, 1_000_000)),
        kind=kind,
        sender=draw(ADDRESSES),
        recipient=draw(ADDRESSES) if named else None,
        entry=draw(DIGESTS),
        deadline=draw(SECONDS),
        expires=draw(SECONDS) if kind is Kind.OFFER else 0,
        bill=bill,
        holder=draw(ADDRESSES) if first and bill is not Bill.BLANK else None,
        replaces=draw(DIGESTS | st.none()) if first else None,
        ending=draw(st.sampled_from(Ending)) if kind is Kind.END else None,
    )


def signed(operation: EvmOperation) -> SignedEvmOperation:
    name = next(name for name in ACTORS if address(name) == operation.sender)
    return evm_title.sign_operation(operation, DOMAIN, signer(name))


# Keys.


@settings(max_examples=40)
@given(SECRETS, DIGESTS)
def test_keys_and_signatures_are_those_of_another_implementation(
    secret: bytes, digest: bytes
) -> None:
    ours, theirs = SoftwareEvmSigner(secret), eth_keys.PrivateKey(secret)
    assert ours.address == theirs.public_key.to_canonical_address()
    assert evm_keys.checksum_text(ours.address) == theirs.public_key.to_checksum_address()
    made = ours.sign_digest(digest)
    assert made.canonical
    vrs = eth_keys.Signature(vrs=(made.v - 27, made.r, made.s))
    assert vrs.recover_public_key_from_msg_hash(digest) == theirs.public_key
    assert evm_keys.recover(digest, made) == ours.address
    assert evm_keys.signature_from_bytes(made.to_bytes()) == made
    assert evm_keys.read_address(evm_keys.checksum_text(ours.address)) == ours.address


@given(SECRETS, DIGESTS)
def test_the_twin_of_a_signature_counts_for_nothing(secret: bytes, digest: bytes) -> None:
    made = SoftwareEvmSigner(secret).sign_digest(digest)
    twin = Signature(55 - made.v, made.r, N - made.s)
    for wrong in (twin, replace(made, v=made.v - 27), replace(made, r=0), replace(made, s=0)):
        assert evm_keys.recover(digest, wrong) is None
        with pytest.raises(MalformedError, match="evm_signature_malformed"):
            evm_keys.signature_from_bytes(wrong.to_bytes())


def test_what_is_no_key_no_signature_and_no_address_is_refused() -> None:
    for secret in (bytes(32), b"\xff" * 32, b"short"):
        with pytest.raises(MalformedError, match="evm_key_malformed"):
            SoftwareEvmSigner(secret)
    with pytest.raises(MalformedError, match="evm_signature_malformed"):
        evm_keys.signature_from_bytes(bytes(64))
    good = evm_keys.checksum_text(address("bank"))
    for text in (good.swapcase(), good.lower(), good[:-1], good + "0", "0x" + "g" * 40, None, 7):
        with pytest.raises(MalformedError, match="evm_address_malformed"):
            evm_keys.read_address(text)
    # No curve point has this r: 5 is not an x of secp256k1.
    assert evm_keys.recover(bytes(32), Signature(27, 5, 1)) is None


def test_eip_55_examples() -> None:
    for text in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert evm_keys.checksum_text(bytes.fromhex(text[2:])) == text


# Typed data.


def typed_data(operation: EvmOperation) -> dict[str, object]:
    """What a wallet is shown: the operation as EIP-712 JSON."""

    def members(signature: str) -> list[dict[str, str]]:
        inner = signature[signature.index("(") + 1 : -1]
        return [
            dict(zip(("type", "name"), item.split(" "), strict=True)) for item in inner.split(",")
        ]

    return {
        "types": {
            "EIP712Domain": members(evm_title.DOMAIN_TYPE),
            "Operation": members(evm_title.OPERATION_TYPE),
        },
        "primaryType": "Operation",
        "domain": {
            "name": evm_title.NAME,
            "version": evm_title.VERSION,
            "chainId": 1337,
            "verifyingContract": "0x" + CONTRACT.hex(),
            "salt": NETWORK,
        },
        "message": {
            "title": operation.title,
            "seq": operation.seq,
            "kind": evm_title.number_of(operation.kind),
            "sender": "0x" + operation.sender.hex(),
            "recipient": "0x" + (operation.recipient or bytes(20)).hex(),
            "entry": operation.entry,
            "deadline": operation.deadline,
            "expires": operation.expires,
            "bill": evm_title.number_of(operation.bill),
            "holder": "0x" + (operation.holder or bytes(20)).hex(),
            "replaces": operation.replaces or bytes(32),
            "ending": evm_title.number_of(operation.ending),
        },
    }


@settings(max_examples=40, deadline=None)
@given(operations())
def test_a_wallet_signs_what_we_verify(operation: EvmOperation) -> None:
    message = encode_typed_data(full_message=typed_data(operation))
    name = next(name for name in ACTORS if address(name) == operation.sender)
    made = Account.sign_message(message, sha256(f"{name} evm".encode()))
    theirs = SignedEvmOperation(operation, Signature(made.v, made.r, made.s))
    assert theirs.verify(DOMAIN) == operation.digest(DOMAIN) == made.message_hash
    assert signed(operation).consent == theirs.consent


@given(operations())
def test_r1_r19_a_signature_counts_on_one_chain_contract_and_network(
    operation: EvmOperation,
) -> None:
    made = signed(operation)
    for other in (
        evm_title.domain_separator(1, CONTRACT, NETWORK),
        evm_title.domain_separator(1337, bytes(20), NETWORK),
        evm_title.domain_separator(1337, CONTRACT, bytes(32)),
    ):
        with pytest.raises(TradeError, match="bad_signature"):
            made.verify(other)


def test_r19_the_arbiter_id_names_chain_contract_and_code() -> None:
    base = evm_title.EvmArbiterId(1337, CONTRACT, NETWORK)
    others = [
        replace(base, chain_id=1),
        replace(base, contract=bytes(20)),
        replace(base, code_hash=bytes(32)),
    ]
    assert len({base.id, *(other.id for other in others)}) == 4


# Texts.


@given(operations())
def test_a_signed_operation_is_read_as_it_was_written(operation: EvmOperation) -> None:
    made = signed(operation)
    text = evm_title_text.to_text(made)
    assert evm_title_text.read_text(text) == made
    with pytest.raises(MalformedError, match="canonical"):
        evm_title_text.read_text(text.replace(",", ", ", 1))


def joint_operation() -> SignedEvmOperation:
    both = (signer("bank"), signer("imp-a"))
    members = tuple(sorted(one.address for one in both))
    made = EvmOperation(
        title=NETWORK,
        seq=3,
        kind=Kind.TRANSFER,
        sender=evm_keys.joint_address(members),
        recipient=address("exp-a"),
        entry=bytes(32),
        deadline=2**31,
    )
    return evm_title.sign_jointly(made, DOMAIN, both)


def test_joint_holders_consent_travels_too() -> None:
    made = joint_operation()
    assert evm_title_text.read_text(evm_title_text.to_text(made)) == made
    assert made.verify(DOMAIN)
    for members in ((), (address("bank"),), (address("bank"),) * 2):
        with pytest.raises(MalformedError, match="title_joint_malformed"):
            evm_keys.joint_address(members)


def changed(text: str, **members: object) -> str:
    body = json.loads(text) | members
    kept = {name: value for name, value in body.items() if value is not ...}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "members",
    [
        {"v": 2},
        {"other": 1},
        {"seq": 0},
        {"to": ...},
        {"to": "0x" + "0" * 40},
        {"expires": 5},
        {"ending": "paper"},
        {"bill": "blank"},
        {"holder": evm_keys.checksum_text(address("bank"))},
        {"replaces": "00" * 32},
        {"kind": "ACCEPT_OFFER"},
        {"kind": "ISSUE", "seq": 0, "bill": "named"},
        {"kind": "ISSUE", "seq": 0, "bill": "to-order"},
        {"signatures": []},
        {"signatures": ["zz"]},
        {"signatures": ["00" * 65]},
        {"joint": [evm_keys.checksum_text(address("bank"))]},
        {"joint": sorted(evm_keys.checksum_text(address(name)) for name in ("bank", "imp-a"))},
    ],
)
def test_an_operation_of_another_form_is_refused(members: dict[str, object]) -> None:
    made = EvmOperation(
        NETWORK, 1, Kind.TRANSFER, address("bank"), address("exp-a"), bytes(32), 2**31
    )
    text = evm_title_text.to_text(signed(made))
    assert evm_title_text.read_text(text)
    with pytest.raises(MalformedError):
        evm_title_text.read_text(changed(text, **members))


def test_one_signature_too_few_of_joint_holders_is_refused() -> None:
    made = joint_operation()
    assert isinstance(made.consent, Joint)
    text = evm_title_text.to_text(made)
    first = made.consent.signatures[0].to_bytes().hex()
    with pytest.raises(MalformedError, match="one signature for each"):
        evm_title_text.read_text(changed(text, signatures=[first]))


# The mapping to the model.


@given(operations())
def test_the_mapping_to_the_model_is_one_to_one(operation: EvmOperation) -> None:
    def party_of(key: bytes) -> Party:
        return evm_title.account(1337, key)

    digest = operation.digest(DOMAIN)
    made = evm_title.to_model(
        operation, network=NETWORK, arbiter=bytes(32), digest=digest, party_of=party_of
    )
    back = {party_of(address(name)): address(name) for name in ACTORS}
    assert evm_title.from_model(made, back.__getitem__) == operation
    assert (made.digest, made.kind, made.seq) == (digest, operation.kind, operation.seq)
    assert made.deadline == datetime.fromtimestamp(operation.deadline, UTC)


def test_a_bare_account_has_a_did_and_is_read_back() -> None:
    party = evm_title.account(1337, address("bank"))
    assert party.did.startswith("did:pkh:eip155:1337:0x")
    assert read_party(Fields(party_json(party), "code")) == party
    for did in ("did:pkh:eip155:1337:0x1", "did:key:z6Mk"):
        with pytest.raises(MalformedError):
            read_party(Fields({"did": did, "key": party.key}, "code"))


# Call data and events, by an independent ABI codec.


def abi_types(name: contracts.Name, function: str) -> list[str]:
    def one(item: dict[str, object]) -> str:
        kind = str(item["type"])
        if not kind.startswith("tuple"):
            return kind
        inner = ",".join(one(part) for part in item["components"])
        return f"({inner}){kind.removeprefix('tuple')}"

    found = next(
        item
        for item in contracts.load(name).abi
        if item["type"] == "function" and item["name"] == function
    )
    return [one(item) for item in found["inputs"]]


CALLS: list[tuple[contracts.Name, str, bytes]] = [
    ("TitleRegistry", "apply", evm_calls.APPLY),
    ("TitleRegistry", "apply_one", evm_calls.APPLY_ONE),
    ("TitleRegistry", "apply_joint", evm_calls.APPLY_JOINT),
    ("TitleRegistry", "control", evm_calls.CONTROL),
    ("TitleRegistry", "offer", evm_calls.OFFER_OF),
    ("TitleRegistry", "surrendered_by", evm_calls.SURRENDERED_BY),
    ("TitleRegistry", "carrier_of", evm_calls.CARRIER_OF),
    ("TitleRegistry", "may_issue", evm_calls.MAY_ISSUE),
    ("TitleRegistry", "frozen_at", evm_calls.FROZEN_AT),
    ("TitleRegistry", "successor", evm_calls.SUCCESSOR),
    ("TitleRegistry", "govern", evm_calls.GOVERN_CALL),
    ("TitleRegistry", "enact", evm_calls.ENACT_CALL),
    ("TitleRegistry", "next_act", evm_calls.NEXT_ACT),
    ("AnchorRegistry", "open", evm_calls.OPEN),
    ("AnchorRegistry", "anchor", evm_calls.ANCHOR),
    ("AnchorRegistry", "latest", evm_calls.LATEST),
]


@pytest.mark.parametrize(("contract", "function", "selector"), CALLS)
def test_selectors_are_those_of_the_committed_contracts(
    contract: contracts.Name, function: str, selector: bytes
) -> None:
    types = ",".join(abi_types(contract, function))
    assert evm_calls.selector(f"{function}({types})") == selector


@settings(max_examples=30, deadline=None)
@given(st.lists(operations(), min_size=1, max_size=4))
def test_a_batch_is_encoded_as_the_abi_says(batch: list[EvmOperation]) -> None:
    made = [signed(operation) for operation in batch]
    data = evm_calls.apply_batch(made)
    ops, terms = eth_abi.decode(abi_types("TitleRegistry", "apply"), data[4:])
    assert [op[0] for op in ops] == [operation.title for operation in batch]
    assert [op[1] & 0xFFFFFFFF for op in ops] == [operation.seq for operation in batch]
    assert len(terms) == sum(operation.kind is Kind.ISSUE for operation in batch)
    again = eth_abi.encode(abi_types("TitleRegistry", "apply"), (ops, terms))
    assert again == data[4:]


def test_joint_and_governing_calls_are_encoded_as_the_abi_says() -> None:
    data = evm_calls.apply_one(joint_operation())
    types = abi_types("TitleRegistry", "apply_joint")
    assert eth_abi.encode(types, eth_abi.decode(types, data[4:])) == data[4:]
    act = Act(3, evm_calls.GOVERN, number=2, governors=(address("bank"), address("imp-a")))
    made = [signer("bank").sign_digest(act.digest(DOMAIN))]
    for call, name in (
        (evm_calls.govern_call(act, made), "govern"),
        (evm_calls.enact_call(act), "enact"),
    ):
        types = abi_types("TitleRegistry", name)
        assert eth_abi.encode(types, eth_abi.decode(types, call[4:])) == call[4:]


def test_events_of_another_form_are_refused_and_others_passed_over() -> None:
    title, key = bytes(32), address("bank").rjust(32, b"\0")
    moved = Log(CONTRACT, (evm_calls.MOVED, title), (2 << 184 | 5 << 160).to_bytes(32, "big") * 3)
    event = evm_calls.read_event(moved)
    assert isinstance(event, evm_calls.Moved)
    assert (event.kind, event.seq, event.recipient) == (Kind.TRANSFER, 5, None)
    assert evm_calls.read_event(replace(moved, topics=(title,))) is None
    assert evm_calls.read_event(replace(moved, topics=())) is None
    wrong = [
        replace(moved, topics=(evm_calls.MOVED,)),
        replace(moved, topics=(evm_calls.MOVED, b"short")),
        replace(moved, data=moved.data[:-1]),
        replace(moved, data=bytes(96)),
        replace(moved, data=b"\xff" * 96),
        Log(CONTRACT, (evm_calls.REFUSED, title), b"\xff" * 96),
        Log(CONTRACT, (evm_calls.ANCHORED, title, b"\1" + key[1:]), bytes(64)),
    ]
    for log in wrong:
        with pytest.raises(MalformedError, match="evm_answer_malformed"):
            evm_calls.read_event(log)
    assert evm_calls.read_offer(bytes(96)) is None
    assert evm_calls.read_latest(bytes(96)) == (0, bytes(32), 0)
    assert evm_calls.read_number(key) > 0
    assert evm_calls.read_address_word(key) == address("bank")
