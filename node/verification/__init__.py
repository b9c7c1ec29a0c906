"""Verifying documents: on arrival, on request, and again when something changed."""
