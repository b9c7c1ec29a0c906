"""Documents this node issued or received, and the status lists they depend on."""
