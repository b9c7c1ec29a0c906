"""A PINT 3.0.0 platform: what this node receives from other platforms and sends to them."""
