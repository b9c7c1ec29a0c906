"""What a node remembers: one database, written in groups by one writer, read on its own."""
