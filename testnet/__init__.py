"""*Many* nodes on one machine: the demo story, fault injection and measurements."""
