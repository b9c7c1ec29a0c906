# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Registry of titles of electronic bills of lading
@license Apache-2.0
@notice One state machine per title, the same as protocols/title/machine.py: compare-and-swap on
        (title, seq), operations signed by the acting key (EIP-712) and relayed by anybody. An
        operation that does not hold is refused by an event and leaves its neighbours alone.
@dev    Checks and their order are the model's, so that both give one and the same reason. A
        carrier is a number with any number of keys: its keys change while its bills are at sea.
"""

struct Op:
    title: bytes32
    # seq 32 | kind 8 | bill 8 | ending 8 | v 8 | deadline 64 | expires 64 | zero, from bit 0 upwards
    word: uint256
    sender: address
    recipient: address
    entry: bytes32
    r: uint256
    s: uint256

# What only ISSUE says besides: the titleholder (none of a blank bill), the title it replaces.
struct Terms:
    holder: address
    replaces: bytes32

struct Signature:
    v: uint256
    r: uint256
    s: uint256

struct Title:
    # actor 160 | seq 24 | state 4 | bill 4 | purpose or ending 4 | replaced 4 | carrier 16 |
    # the first 40 bits of the address that issued it
    # actor: the possessor; from the surrender on, whoever surrendered it
    control: uint256
    # SHA-256(tag, previous head, operation digest)
    head: bytes32

struct Offer:
    # recipient 160 | expires 64
    word: uint256
    entry: bytes32

struct Act:
    nonce: uint64
    kind: uint8
    carrier: uint32
    key: address
    number: uint64
    successor: bytes32
    governors: DynArray[address, 16]

event Moved:
    title: indexed(bytes32)
    # recipient 160 | seq after it 24 | kind 8
    word: uint256
    entry: bytes32
    digest: bytes32

event Refused:
    title: indexed(bytes32)
    digest: bytes32
    code: uint256
    seq: uint256

event Proposed:
    act: indexed(bytes32)
    nonce: uint64
    ready: uint256

event Enacted:
    act: indexed(bytes32)
    nonce: uint64
    kind: uint8
    carrier: uint32
    key: address
    number: uint64
    successor: bytes32

MAX_OPERATIONS: constant(uint256) = 200
MAX_SEQ: constant(uint256) = 1_000_000
# Half the order of secp256k1: a signature with a greater s is the twin of another one.
HALF_N: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)
ADDRESS: constant(uint256) = 2**160 - 1
MASK64: constant(uint256) = 2**64 - 1
MASK32: constant(uint256) = 2**32 - 1
HEAD_TAG: constant(Bytes[22]) = b"pratique/title-head/1\n"
JOINT_TAG: constant(Bytes[17]) = b"pratique/joint/1\n"

OPERATION_TYPE: constant(bytes32) = keccak256(
    "Operation(bytes32 title,uint32 seq,uint8 kind,address sender,address recipient,bytes32 entry,uint64 deadline,uint64 expires,uint8 bill,address holder,bytes32 replaces,uint8 ending)"
)
ACT_TYPE: constant(bytes32) = keccak256(
    "Act(uint64 nonce,uint8 kind,uint32 carrier,address key,uint64 number,bytes32 successor,address[] governors)"
)
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
)

ISSUE: constant(uint256) = 1
TRANSFER: constant(uint256) = 2
OFFER: constant(uint256) = 3
ACCEPT_OFFER: constant(uint256) = 4
DECLINE_OFFER: constant(uint256) = 5
CANCEL_OFFER: constant(uint256) = 6
ENDORSE: constant(uint256) = 7
ENDORSE_TO_ORDER: constant(uint256) = 8
BLANK_ENDORSE: constant(uint256) = 9
SURRENDER_FOR_DELIVERY: constant(uint256) = 10
SURRENDER_FOR_AMENDMENT: constant(uint256) = 11
ACCEPT_SURRENDER: constant(uint256) = 12
REJECT_SURRENDER: constant(uint256) = 13
END: constant(uint256) = 14

LIVE: constant(uint256) = 1
OFFERED: constant(uint256) = 2
SURRENDERED: constant(uint256) = 3
ACCEPTED: constant(uint256) = 4
ENDED: constant(uint256) = 5

STRAIGHT: constant(uint256) = 1
TO_ORDER: constant(uint256) = 2
BLANK: constant(uint256) = 3
NAMED: constant(uint256) = 4

DELIVERED: constant(uint256) = 1

# Where the parts of Title.control begin.
SEQ: constant(uint256) = 160
STATE: constant(uint256) = 184
BILL: constant(uint256) = 188
PURPOSE: constant(uint256) = 192
REPLACED: constant(uint256) = 196
CARRIER: constant(uint256) = 200
ISSUER: constant(uint256) = 216
ONE_SEQ: constant(uint256) = 1 << 160
STATE_MASK: constant(uint256) = 15 << 184
BILL_MASK: constant(uint256) = 15 << 188
PURPOSE_MASK: constant(uint256) = 15 << 192
MASK16: constant(uint256) = 2**16 - 1
MASK24: constant(uint256) = 2**24 - 1

# Sets of kinds, one bit for each.
WITH_RECIPIENT: constant(uint256) = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 7) | (1 << 8)
MAY_NAME: constant(uint256) = (1 << 10) | (1 << 11)

# Refusals; the order is that of protocols/evm/title.py.
APPLIED: constant(uint256) = 0
MALFORMED: constant(uint256) = 1
BAD_SIGNATURE: constant(uint256) = 2
ISSUER_NOT_LISTED: constant(uint256) = 3
EXPIRED: constant(uint256) = 4
EXISTS: constant(uint256) = 5
NEVER_ISSUED: constant(uint256) = 6
SEQ_CONFLICT: constant(uint256) = 7
SEQ_AHEAD: constant(uint256) = 8
HAS_ENDED: constant(uint256) = 9
STATE_FORBIDS: constant(uint256) = 10
BAD_RECIPIENT: constant(uint256) = 11
REPLACES_UNENDED: constant(uint256) = 12
NOT_ISSUER: constant(uint256) = 13
NOT_POSSESSOR: constant(uint256) = 14
NOT_RECIPIENT: constant(uint256) = 15
NOT_NEGOTIABLE: constant(uint256) = 16
NOT_HOLDER: constant(uint256) = 17
OFFER_EXPIRED: constant(uint256) = 18
OTHER_ENTRY: constant(uint256) = 19
OFFER_OPEN: constant(uint256) = 20
ENDING_MISMATCH: constant(uint256) = 21
ALREADY_REPLACED: constant(uint256) = 22

# Acts of the governors.
LIST: constant(uint8) = 1
DELIST: constant(uint8) = 2
RETIRE: constant(uint8) = 3
FREEZE: constant(uint8) = 4
GOVERN: constant(uint8) = 5
WITHDRAW: constant(uint8) = 6

NETWORK: public(immutable(bytes32))
DOMAIN: public(immutable(bytes32))
CHAIN: immutable(uint256)
DELAY: public(immutable(uint256))

titles: HashMap[bytes32, Title]
# holder 160 | the first 96 bits of the shipper's address
claims: HashMap[bytes32, uint256]
offers: HashMap[bytes32, Offer]
# Number of the carrier that a key speaks for, and whether that carrier may issue.
carrier_of: public(HashMap[address, uint256])
may_issue: public(HashMap[uint256, bool])
# From this block on every operation is void (0: never); and the arbiter that comes after.
frozen_at: public(uint256)
successor: public(bytes32)

governors: DynArray[address, 16]
threshold: public(uint256)
generation: public(uint256)
next_act: public(uint64)
pending: public(HashMap[bytes32, uint256])


@deploy
def __init__(
    network: bytes32, governors: DynArray[address, 16], threshold: uint256, delay: uint256
):
    """
    @param network   id of the network (R1); the salt of the signing domain
    @param governors keys that speak for the members, ascending
    @param threshold how many of them an act takes
    @param delay     seconds between proposing and enacting what widens power
    """
    NETWORK = network
    CHAIN = chain.id
    DELAY = delay
    DOMAIN = keccak256(
        abi_encode(
            DOMAIN_TYPE,
            keccak256("Pratique title registry"),
            keccak256("1"),
            chain.id,
            self,
            network,
        )
    )
    self._set_governors(governors, threshold)


# Reading. Reading gives no control.


@external
@view
def control(
    title: bytes32,
) -> (uint256, uint256, uint256, uint256, address, address, uint256, bytes32):
    """
    @notice State, seq, bill, purpose or ending, possessor, holder, carrier, head.
    @dev    The possessor is zero while the carrier holds a surrendered bill, and after the end.
    """
    row: Title = self.titles[title]
    state: uint256 = (row.control >> STATE) & 15
    possessor: address = empty(address)
    if state == LIVE or state == OFFERED:
        possessor = convert(row.control & ADDRESS, address)
    return (
        state,
        (row.control >> SEQ) & MASK24,
        (row.control >> BILL) & 15,
        (row.control >> PURPOSE) & 15,
        possessor,
        convert(self.claims[title] & ADDRESS, address),
        (row.control >> CARRIER) & MASK16,
        row.head,
    )


@external
@view
def surrendered_by(title: bytes32) -> address:
    """
    @notice Who gets a surrendered title back when the carrier rejects; zero otherwise.
    """
    word: uint256 = self.titles[title].control
    if (word >> STATE) & 15 < SURRENDERED:
        return empty(address)
    return convert(word & ADDRESS, address)


@external
@view
def shipper_tag(title: bytes32) -> uint256:
    """
    @notice The first 96 bits of the shipper's address; the whole is in the event of ISSUE.
    """
    return self.claims[title] >> 160


@external
@view
def replaced(title: bytes32) -> bool:
    """
    @notice Whether another title was issued in this one's place.
    """
    return (self.titles[title].control >> REPLACED) & 1 == 1


@external
@view
def offer(title: bytes32) -> (address, uint256, bytes32):
    """
    @notice Recipient, expiry and entry of the open offer; zeros when there is none.
    """
    row: Offer = self.offers[title]
    return convert(row.word & ADDRESS, address), row.word >> 160, row.entry


@external
@view
def ownerOf(title: uint256) -> address:
    """
    @notice The possessor, as ERC-721 readers ask for it.
    """
    word: uint256 = self.titles[convert(title, bytes32)].control
    state: uint256 = (word >> STATE) & 15
    assert state == LIVE or state == OFFERED, "nobody"
    return convert(word & ADDRESS, address)


# Operations.


@external
def apply(
    ops: DynArray[Op, MAX_OPERATIONS], terms: DynArray[Terms, MAX_OPERATIONS]
) -> uint256:
    """
    @notice Applies operations in their order, each by itself; anybody may relay.
    @param terms one for each ISSUE among the operations, in their order
    @return how many were applied; the others are told by Refused
    """
    self._require_open()
    count: uint256 = 0
    issues: uint256 = 0
    for op: Op in ops:
        code: uint256 = 0
        if (op.word >> 32) & 255 == ISSUE:
            code = self._issue_signed(op, terms[issues])
            issues += 1
        else:
            code = self._move_signed(op)
        if code == APPLIED:
            count += 1
    return count


@external
def apply_one(op: Op) -> uint256:
    """
    @notice Applies one operation other than ISSUE.
    @return 0, or the code of the refusal
    """
    self._require_open()
    return self._move_signed(op)


@external
def apply_joint(
    op: Op, members: DynArray[address, 4], signatures: DynArray[Signature, 4]
) -> uint256:
    """
    @notice Applies an operation of joint holders, who are one party and act only all together.
    @param op      its sender is the joint address of `members`; r, s and v are zero
    @param members two to four keys, ascending
    @return 0, or the code of the refusal
    """
    self._require_open()
    digest: bytes32 = self._digest(op, empty(Terms))
    code: uint256 = self._shape(op.word, op.sender, op.recipient)
    if code == APPLIED and not self._all_signed(op, digest, members, signatures):
        code = BAD_SIGNATURE
    if code == APPLIED:
        code = self._move(op, digest)
    if code != APPLIED:
        self._refuse(op.title, digest, code)
    return code


@internal
@view
def _require_open():
    # A copy of this chain under another chain id is not this arbiter (R19).
    assert chain.id == CHAIN, "other chain"
    frozen: uint256 = self.frozen_at
    assert frozen == 0 or block.number < frozen, "frozen"


@internal
def _move_signed(op: Op) -> uint256:
    digest: bytes32 = self._digest(op, empty(Terms))
    code: uint256 = self._shape(op.word, op.sender, op.recipient)
    if code == APPLIED:
        code = BAD_SIGNATURE
        if self._signer(digest, (op.word >> 56) & 255, op.r, op.s) == op.sender:
            code = self._move(op, digest)
    if code != APPLIED:
        self._refuse(op.title, digest, code)
    return code


@internal
def _issue_signed(op: Op, terms: Terms) -> uint256:
    digest: bytes32 = self._digest(op, terms)
    code: uint256 = self._issue_shape(op, terms)
    if code == APPLIED:
        code = BAD_SIGNATURE
        if self._signer(digest, (op.word >> 56) & 255, op.r, op.s) == op.sender:
            code = self._issue(op, terms, digest)
    if code != APPLIED:
        self._refuse(op.title, digest, code)
    return code


@internal
def _refuse(title: bytes32, digest: bytes32, code: uint256):
    word: uint256 = self.titles[title].control
    log Refused(title=title, digest=digest, code=code, seq=(word >> SEQ) & MASK24)


@internal
@pure
def _signer(digest: bytes32, v: uint256, r: uint256, s: uint256) -> address:
    if s > HALF_N or v < 27 or v > 28:
        return empty(address)
    return ecrecover(digest, v, r, s)


@internal
@pure
def _all_signed(
    op: Op,
    digest: bytes32,
    members: DynArray[address, 4],
    signatures: DynArray[Signature, 4],
) -> bool:
    count: uint256 = len(members)
    if count < 2 or len(signatures) != count or op.r != 0 or op.s != 0:
        return False
    if (op.word >> 56) & 255 != 0:
        return False
    last: uint256 = 0
    for i: uint256 in range(count, bound=4):
        key: uint256 = convert(members[i], uint256)
        # Ascending: nobody counts twice, and one set has one address.
        if key <= last:
            return False
        last = key
        signature: Signature = signatures[i]
        if self._signer(digest, signature.v, signature.r, signature.s) != members[i]:
            return False
    hashed: uint256 = convert(keccak256(concat(JOINT_TAG, abi_encode(members))), uint256)
    return convert(hashed & ADDRESS, address) == op.sender


@internal
@view
def _digest(op: Op, terms: Terms) -> bytes32:
    word: uint256 = op.word
    return keccak256(
        concat(
            x"1901",
            DOMAIN,
            keccak256(
                abi_encode(
                    OPERATION_TYPE,
                    op.title,
                    word & MASK32,
                    (word >> 32) & 255,
                    op.sender,
                    op.recipient,
                    op.entry,
                    (word >> 64) & MASK64,
                    (word >> 128) & MASK64,
                    (word >> 40) & 255,
                    terms.holder,
                    terms.replaces,
                    (word >> 48) & 255,
                )
            ),
        )
    )


@internal
@pure
def _shape(word: uint256, sender: address, recipient: address) -> uint256:
    """
    @dev What an operation of its kind must and must not say (protocols/title/json_forms.py).
    """
    kind: uint256 = (word >> 32) & 255
    if kind <= ISSUE or kind > END or sender == empty(address):
        return MALFORMED
    if recipient != empty(address):
        if ((WITH_RECIPIENT | MAY_NAME) >> kind) & 1 == 0:
            return MALFORMED
    elif (WITH_RECIPIENT >> kind) & 1 == 1:
        return MALFORMED
    # seq - 1 wraps around for 0.
    if unsafe_sub(word & MASK32, 1) >= MAX_SEQ:
        return MALFORMED
    # Bill, ending, expires and what lies above it: most kinds have none of them.
    terms: uint256 = (word >> 128) | ((word >> 40) & 65535)
    if terms == 0:
        return MALFORMED if kind == OFFER or kind == END else APPLIED
    if kind == OFFER and (word >> 40) & 65535 == 0 and word >> 192 == 0:
        return APPLIED
    # An ending is 1, 2 or 3, in the upper byte.
    if kind == END and terms & 255 == 0 and terms <= 3 << 8:
        return APPLIED
    return MALFORMED


@internal
@pure
def _issue_shape(op: Op, terms: Terms) -> uint256:
    bill: uint256 = (op.word >> 40) & 255
    if op.sender == empty(address) or op.recipient == empty(address):
        return MALFORMED
    if op.word & MASK32 != 0 or (op.word >> 48) & 255 != 0 or op.word >> 128 != 0:
        return MALFORMED
    if bill == 0 or bill > BLANK or (terms.holder == empty(address)) != (bill == BLANK):
        return MALFORMED
    return APPLIED


@internal
def _tell(op: Op, digest: bytes32, seq: uint256):
    log Moved(
        title=op.title,
        word=convert(op.recipient, uint256) | (seq << 160) | (((op.word >> 32) & 255) << 184),
        entry=op.entry,
        digest=digest,
    )


@internal
def _issue(op: Op, terms: Terms, digest: bytes32) -> uint256:
    carrier: uint256 = self.carrier_of[op.sender]
    if carrier == 0 or not self.may_issue[carrier]:
        return ISSUER_NOT_LISTED
    if block.timestamp > (op.word >> 64) & MASK64:
        return EXPIRED
    if self.titles[op.title].control != 0:
        return EXISTS
    if op.recipient == op.sender:
        return BAD_RECIPIENT
    if terms.replaces != empty(bytes32):
        code: uint256 = self._replace(terms.replaces, carrier)
        if code != APPLIED:
            return code
    recipient: uint256 = convert(op.recipient, uint256)
    self.titles[op.title] = Title(
        control=recipient
        | ONE_SEQ
        | (LIVE << STATE)
        | (((op.word >> 40) & 255) << BILL)
        | (carrier << CARRIER)
        | ((convert(op.sender, uint256) >> 120) << ISSUER),
        head=sha256(concat(HEAD_TAG, empty(bytes32), digest)),
    )
    self.claims[op.title] = convert(terms.holder, uint256) | ((recipient >> 64) << 160)
    self._tell(op, digest, 1)
    return APPLIED


@internal
def _replace(old: bytes32, carrier: uint256) -> uint256:
    word: uint256 = self.titles[old].control
    if (word >> STATE) & 15 != ENDED or (word >> PURPOSE) & 15 == DELIVERED:
        return REPLACES_UNENDED
    if (word >> CARRIER) & MASK16 != carrier:
        return NOT_ISSUER
    if (word >> REPLACED) & 1 == 1:
        return ALREADY_REPLACED
    self.titles[old].control = word | (1 << REPLACED)
    return APPLIED


@internal
@pure
def _states(kind: uint256) -> uint256:
    """
    @dev The one state from which an operation of this kind goes.
    """
    if kind == ACCEPT_OFFER or kind == DECLINE_OFFER or kind == CANCEL_OFFER:
        return OFFERED
    if kind == ACCEPT_SURRENDER or kind == REJECT_SURRENDER:
        return SURRENDERED
    if kind == END:
        return ACCEPTED
    return LIVE


@internal
def _move(op: Op, digest: bytes32) -> uint256:
    if block.timestamp > (op.word >> 64) & MASK64:
        return EXPIRED
    row: Title = self.titles[op.title]
    word: uint256 = row.control
    if word == 0:
        return NEVER_ISSUED
    seq: uint256 = (word >> SEQ) & MASK24
    given: uint256 = op.word & MASK32
    if given != seq:
        return SEQ_CONFLICT if given < seq else SEQ_AHEAD
    state: uint256 = (word >> STATE) & 15
    if state == ENDED:
        return HAS_ENDED
    kind: uint256 = (op.word >> 32) & 255
    if state != self._states(kind):
        return STATE_FORBIDS
    code: uint256 = APPLIED
    if kind == TRANSFER:
        code = self._gives(op.sender, op.recipient, word)
        word = (word & ~ADDRESS) | convert(op.recipient, uint256)
    elif kind <= CANCEL_OFFER:
        code, word = self._offering(op, word, kind)
    elif kind <= BLANK_ENDORSE:
        code, word = self._endorse(op, word, kind)
    elif kind <= SURRENDER_FOR_AMENDMENT:
        code, word = self._surrender(op, word, kind)
    else:
        code, word = self._answer(op, word, kind)
    if code != APPLIED:
        return code
    # 24 bits hold every seq that MAX_SEQ lets an operation build on.
    self.titles[op.title] = Title(
        control=unsafe_add(word, ONE_SEQ), head=sha256(concat(HEAD_TAG, row.head, digest))
    )
    self._tell(op, digest, seq + 1)
    return APPLIED


@internal
@pure
def _gives(sender: address, recipient: address, word: uint256) -> uint256:
    """
    @dev Possession goes from the possessor to another party; to the carrier by surrender only.
    """
    if convert(sender, uint256) != word & ADDRESS:
        return NOT_POSSESSOR
    if recipient == sender or convert(recipient, uint256) >> 120 == word >> ISSUER:
        return BAD_RECIPIENT
    return APPLIED


@internal
def _offering(op: Op, word: uint256, kind: uint256) -> (uint256, uint256):
    if kind == OFFER:
        code: uint256 = NOT_POSSESSOR
        expires: uint256 = (op.word >> 128) & MASK64
        if convert(op.sender, uint256) == word & ADDRESS:
            code = OFFER_EXPIRED
            if expires > block.timestamp:
                code = self._gives(op.sender, op.recipient, word)
        if code == APPLIED:
            self.offers[op.title] = Offer(
                word=convert(op.recipient, uint256) | (expires << 160), entry=op.entry
            )
        return code, (word & ~STATE_MASK) | (OFFERED << STATE)
    offered: uint256 = self.offers[op.title].word
    expired: bool = block.timestamp > offered >> 160
    sender: uint256 = convert(op.sender, uint256)
    live: uint256 = (word & ~STATE_MASK) | (LIVE << STATE)
    if kind == CANCEL_OFFER:
        if sender != word & ADDRESS:
            return NOT_POSSESSOR, word
        # The recipient can rely on the offer until it expires (R20).
        if not expired:
            return OFFER_OPEN, word
    else:
        if sender != offered & ADDRESS:
            return NOT_RECIPIENT, word
        if kind == ACCEPT_OFFER:
            if expired:
                return OFFER_EXPIRED, word
            if op.entry != self.offers[op.title].entry:
                return OTHER_ENTRY, word
            live = (live & ~ADDRESS) | sender
    self.offers[op.title] = empty(Offer)
    return APPLIED, live


@internal
def _endorse(op: Op, word: uint256, kind: uint256) -> (uint256, uint256):
    if convert(op.sender, uint256) != word & ADDRESS:
        return NOT_POSSESSOR, word
    bill: uint256 = (word >> BILL) & 15
    if bill == STRAIGHT or bill == NAMED:
        return NOT_NEGOTIABLE, word
    claim: uint256 = self.claims[op.title]
    if claim & ADDRESS != 0 and claim & ADDRESS != convert(op.sender, uint256):
        return NOT_HOLDER, word
    becomes: uint256 = BLANK
    if kind != BLANK_ENDORSE:
        if op.recipient == op.sender or convert(op.recipient, uint256) >> 120 == word >> ISSUER:
            return BAD_RECIPIENT, word
        becomes = NAMED if kind == ENDORSE else TO_ORDER
    self.claims[op.title] = (claim & ~ADDRESS) | convert(op.recipient, uint256)
    return APPLIED, (word & ~BILL_MASK) | (becomes << BILL)


@internal
@view
def _surrender(op: Op, word: uint256, kind: uint256) -> (uint256, uint256):
    sender: uint256 = convert(op.sender, uint256)
    if sender != word & ADDRESS:
        return NOT_POSSESSOR, word
    claim: uint256 = self.claims[op.title]
    holder: uint256 = claim & ADDRESS
    shipper: bool = sender >> 64 == claim >> 160
    entitled: bool = holder == 0 or holder == sender
    if (word >> BILL) & 15 == STRAIGHT:
        entitled = shipper or holder == sender
    if kind == SURRENDER_FOR_AMENDMENT and shipper:
        entitled = True
    if not entitled:
        return NOT_HOLDER, word
    if op.recipient != empty(address) and convert(op.recipient, uint256) >> 120 != word >> ISSUER:
        return BAD_RECIPIENT, word
    return APPLIED, (word & ~(STATE_MASK | PURPOSE_MASK)) | (SURRENDERED << STATE) | (kind << PURPOSE)


@internal
@view
def _answer(op: Op, word: uint256, kind: uint256) -> (uint256, uint256):
    if self.carrier_of[op.sender] != (word >> CARRIER) & MASK16:
        return NOT_ISSUER, word
    if kind == ACCEPT_SURRENDER:
        return APPLIED, (word & ~STATE_MASK) | (ACCEPTED << STATE)
    cleared: uint256 = word & ~(STATE_MASK | PURPOSE_MASK)
    if kind == REJECT_SURRENDER:
        return APPLIED, cleared | (LIVE << STATE)
    ending: uint256 = (op.word >> 48) & 255
    purpose: uint256 = (word >> PURPOSE) & 15
    if (ending == DELIVERED) != (purpose == SURRENDER_FOR_DELIVERY):
        return ENDING_MISMATCH, word
    return APPLIED, cleared | (ENDED << STATE) | (ending << PURPOSE)


# Governing. Nothing here moves a title or changes whose it is.


@external
def govern(act: Act, signatures: DynArray[Signature, 16]):
    """
    @notice Enacts, or with a delay proposes, what the threshold of governors signed.
    @param signatures in ascending order of their signers, each signer once
    """
    assert act.nonce == self.next_act, "nonce"
    self.next_act += 1
    digest: bytes32 = self._act_digest(act)
    last: uint256 = 0
    count: uint256 = 0
    for signature: Signature in signatures:
        signer: address = self._signer(digest, signature.v, signature.r, signature.s)
        assert convert(signer, uint256) > last, "signature"
        assert signer in self.governors, "governor"
        last = convert(signer, uint256)
        count += 1
    assert count >= self.threshold, "threshold"
    if DELAY == 0 or (act.kind != LIST and act.kind != GOVERN):
        self._enact(act, digest)
        return
    ready: uint256 = block.timestamp + DELAY
    self.pending[self._slot(digest)] = ready
    log Proposed(act=digest, nonce=act.nonce, ready=ready)


@external
def enact(act: Act):
    """
    @notice Enacts what was proposed, once its delay is over; anybody may.
    """
    digest: bytes32 = self._act_digest(act)
    ready: uint256 = self.pending[self._slot(digest)]
    assert ready != 0 and block.timestamp >= ready, "not ready"
    self.pending[self._slot(digest)] = 0
    self._enact(act, digest)


@internal
@view
def _slot(digest: bytes32) -> bytes32:
    # What one set of governors proposed dies with that set.
    return keccak256(concat(digest, convert(self.generation, bytes32)))


@internal
def _enact(act: Act, digest: bytes32):
    if act.kind == LIST:
        assert act.carrier != 0 and act.carrier <= 65535 and act.key != empty(address), "carrier"
        held: uint256 = self.carrier_of[act.key]
        assert held == 0 or held == convert(act.carrier, uint256), "carrier"
        self.carrier_of[act.key] = convert(act.carrier, uint256)
        self.may_issue[convert(act.carrier, uint256)] = True
    elif act.kind == DELIST:
        self.may_issue[convert(act.carrier, uint256)] = False
    elif act.kind == RETIRE:
        self.carrier_of[act.key] = 0
    elif act.kind == FREEZE:
        # A freeze names a block to come, and is not taken back (R21).
        assert self.frozen_at == 0 and convert(act.number, uint256) > block.number, "freeze"
        self.frozen_at = convert(act.number, uint256)
        self.successor = act.successor
    elif act.kind == GOVERN:
        self._set_governors(act.governors, convert(act.number, uint256))
    else:
        assert act.kind == WITHDRAW, "kind"
        self.pending[self._slot(act.successor)] = 0
    log Enacted(
        act=digest,
        nonce=act.nonce,
        kind=act.kind,
        carrier=act.carrier,
        key=act.key,
        number=act.number,
        successor=act.successor,
    )


@internal
def _set_governors(governors: DynArray[address, 16], threshold: uint256):
    last: uint256 = 0
    for key: address in governors:
        assert convert(key, uint256) > last, "governors"
        last = convert(key, uint256)
    # A bare majority or more: two halves must not both be able to act.
    assert 2 * threshold > len(governors) and threshold <= len(governors), "threshold"
    self.governors = governors
    self.threshold = threshold
    self.generation += 1


@internal
@view
def _act_digest(act: Act) -> bytes32:
    # EIP-712 hashes the elements of an array without the offset and length of its ABI form.
    governors: Bytes[576] = slice(abi_encode(act.governors), 64, 32 * len(act.governors))
    return keccak256(
        concat(
            x"1901",
            DOMAIN,
            keccak256(
                abi_encode(
                    ACT_TYPE,
                    act.nonce,
                    act.kind,
                    act.carrier,
                    act.key,
                    act.number,
                    act.successor,
                    keccak256(governors),
                )
            ),
        )
    )
