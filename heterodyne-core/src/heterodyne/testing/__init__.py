"""What tests of plugins are made with."""
