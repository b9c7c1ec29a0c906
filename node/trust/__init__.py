"""The network this node belongs to: its member list, founding, joining, signing, following."""
