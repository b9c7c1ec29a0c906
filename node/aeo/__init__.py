"""Authorised economic operators: their status events, and the lane these give a consignment."""
