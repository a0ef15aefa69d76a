"""Files of the layouts that core reads, as their writers write them, for tests."""
