"""Model variants, one per file: equation, parameter table, functions."""
