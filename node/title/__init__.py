"""Titles at a node: its registry or its witnessing of one, and the titles it is concerned with."""
