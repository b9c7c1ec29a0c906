"""Exporting evidence bundles; verifying one needs no node (`protocols.evidence`)."""
