"""Figures of "Learning credit assignment" and its supplement."""
