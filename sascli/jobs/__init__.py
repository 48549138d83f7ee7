"""Multiruns and clusters: jobs submitted, their status, their tables together."""
