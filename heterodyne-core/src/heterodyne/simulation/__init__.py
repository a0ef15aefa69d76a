"""Data with known parameters."""
