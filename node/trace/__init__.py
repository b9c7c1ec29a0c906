"""Tracing a document or a consignment: events with their proofs, as table, tree and picture."""
