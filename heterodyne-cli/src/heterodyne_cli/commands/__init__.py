"""The program's own commands, one per module; numerics are imported inside them, so that help is quick."""
