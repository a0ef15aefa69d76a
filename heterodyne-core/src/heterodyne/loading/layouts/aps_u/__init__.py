"""APS-U results: what boost_corr writes with a q map of pySimpleMask (2025 on)."""
