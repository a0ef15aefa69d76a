"""What the machine has: cores, memory and accelerators; nothing is set on import."""
