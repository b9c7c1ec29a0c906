"""Credentials and presentations, ours and others': written, secured, opened and revoked."""
