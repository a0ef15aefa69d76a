"""Where fits start: points from the data, their search, and fits bin after bin."""
