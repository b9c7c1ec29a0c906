"""The tables of the first schema, written out by area; never changed once released."""
