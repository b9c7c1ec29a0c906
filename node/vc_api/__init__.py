"""The VC-API mode of a node in a test network: issue and verify for whoever asks, over HTTPS."""
