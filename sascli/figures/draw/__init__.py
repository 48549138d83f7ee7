"""Shared drawing: style, rows of tables, panels that several figures have."""
