"""Fits: one, one per group, of several models."""
