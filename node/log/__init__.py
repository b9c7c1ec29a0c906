"""The node's log and its witnessing of partners' logs."""
