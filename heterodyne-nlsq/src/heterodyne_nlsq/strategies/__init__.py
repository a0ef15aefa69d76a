"""Where the data are during a fit, and in which order bins are fitted."""
