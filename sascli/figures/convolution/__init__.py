"""Figures of the study of a convolutional network: its layers and filters."""
