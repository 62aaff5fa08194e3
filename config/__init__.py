"""Every option once, and how it is read."""
