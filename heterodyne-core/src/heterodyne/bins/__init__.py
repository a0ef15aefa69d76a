"""From `TwoTime` to numbers ready to be summed."""
