"""Figures of the use of credit."""
