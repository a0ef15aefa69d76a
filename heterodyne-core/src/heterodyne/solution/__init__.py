"""What the data say at a solution, whichever optimizer found it."""
