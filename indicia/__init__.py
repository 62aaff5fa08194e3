"""The command: one face for relay, collector and console."""
