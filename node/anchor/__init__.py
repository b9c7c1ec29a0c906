"""Anchors: size and root of the node's log, put on a chain from time to time."""
