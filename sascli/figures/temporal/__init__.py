"""Figures of temporal credit assignment."""
