"""Two-time data: the record, selection, validation and simulation."""
