# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Anchors of transparency logs
@license Apache-2.0
@notice Puts a log's size and root under a block's time. Whoever calls owns its own row, so nobody
        anchors in another's name: a verifier pins the sender's address as well as this contract.
        `origin` is SHA-256 of the log's C2SP origin line; nothing else about the log is told.
@dev    A log is opened once, which pays for its storage; every anchor after that costs the same.
"""

struct Anchor:
    root: bytes32
    # size of the tree (64 bits) | block timestamp (64 bits) | opened (1 bit)
    word: uint256

event Anchored:
    origin: indexed(bytes32)
    sender: indexed(address)
    size: uint64
    root: bytes32

OPENED: constant(uint256) = 1 << 128
MASK64: constant(uint256) = 2**64 - 1

anchors: HashMap[address, HashMap[bytes32, Anchor]]


@external
def open(origin: bytes32):
    """
    @notice Opens the caller's row for a log, once.
    """
    assert self.anchors[msg.sender][origin].word == 0, "opened"
    # The root of the empty tree (RFC 6962 2.1): SHA-256 of nothing.
    self.anchors[msg.sender][origin] = Anchor(
        root=0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,
        word=OPENED | (block.timestamp << 64),
    )


@external
def anchor(origin: bytes32, size: uint64, root: bytes32):
    """
    @notice Anchors the caller's log at a greater size than before.
    """
    word: uint256 = self.anchors[msg.sender][origin].word
    assert word != 0, "not opened"
    assert convert(size, uint256) > word & MASK64, "size"
    self.anchors[msg.sender][origin] = Anchor(
        root=root, word=OPENED | (block.timestamp << 64) | convert(size, uint256)
    )
    log Anchored(origin=origin, sender=msg.sender, size=size, root=root)


@external
@view
def latest(sender: address, origin: bytes32) -> (uint64, bytes32, uint64):
    """
    @notice Size, root and block time of the last anchor; size 0 before the first.
    """
    row: Anchor = self.anchors[sender][origin]
    return (
        convert(row.word & MASK64, uint64),
        row.root,
        convert((row.word >> 64) & MASK64, uint64),
    )
