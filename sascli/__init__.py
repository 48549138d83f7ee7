"""Spike-and-slab credit assignment: train, measure and perturb networks of uncertain weights."""

from importlib import metadata

try:
    __version__ = metadata.version("sas-credit")
except metadata.PackageNotFoundError:
    __version__ = "of a checkout that is not installed"
