"""Outputs of a result, one per module."""
