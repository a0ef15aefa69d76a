"""From a file of any layout to `TwoTime`."""
