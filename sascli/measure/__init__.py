"""Measurements of trained runs: tables in versioned directories."""
