"""Figures of the atlas: claims at many settings."""
