"""Releasing containers: the decision, the signed order, and taking an unused one back."""
