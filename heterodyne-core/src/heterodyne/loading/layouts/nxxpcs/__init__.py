"""NXxpcs files (NeXus)."""
