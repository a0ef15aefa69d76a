"""Figures for two-time correlation."""
