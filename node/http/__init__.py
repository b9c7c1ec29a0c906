"""The node's HTTP surface: declared routes, one application, one middleware."""
