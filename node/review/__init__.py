"""Issuing with review: applications, lanes, persons who approve, and batches that resume."""
