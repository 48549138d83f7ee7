"""The figure of a single run."""
