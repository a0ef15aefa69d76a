"""Configuration of a fit: the schema, files in YAML, templates."""
