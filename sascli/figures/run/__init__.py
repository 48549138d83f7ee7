"""Figures of one's own runs and of what was measured of them."""
