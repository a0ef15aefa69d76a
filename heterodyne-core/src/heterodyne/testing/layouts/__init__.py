"""Files of every layout, small and with everything adjustable, for tests."""
