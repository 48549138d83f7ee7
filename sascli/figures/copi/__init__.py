"""Figures of constrained parameter inference."""
