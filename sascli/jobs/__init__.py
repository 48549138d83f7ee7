"""Multiruns and clusters: jobs submitted, their status, their tables together."""

CONF = "conf"
"""The folder of YAML files: in the package, in the checkout, and copied into a multirun."""
