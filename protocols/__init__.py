"""What may be *said* between nodes, as pure functions over bytes and values; time is passed in."""
