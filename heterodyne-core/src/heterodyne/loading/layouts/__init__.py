"""File layouts, one per module."""
