"""Declarations drawn from the signed papers of a consignment."""
