"""The command line: `heterodyne`."""
