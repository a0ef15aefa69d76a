"""Trust-region least squares for heterodyne two-time correlations."""
