"""Numerical kernels: pure functions of parameters and data, compiled by JAX."""
