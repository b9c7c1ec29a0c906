"""Titles of bills of lading: the state machine, its signed forms, the log that arbitrates."""
