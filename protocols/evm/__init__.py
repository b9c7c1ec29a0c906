"""What stands on an EVM chain: calls and events, proofs of them, titles and anchors."""
