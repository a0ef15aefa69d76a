"""Stretched-exponential relaxation of an ageing sample, a model for heterodyne."""
