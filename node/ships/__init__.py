"""Ship certificates: the register of tracking numbers, and asking those of others."""
