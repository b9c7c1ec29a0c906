"""The chain of a node: its addresses, its relayer key, its transactions."""
