"""Who is who: DID documents, ours and others, against the member list."""
