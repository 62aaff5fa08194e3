"""The face of each command: its words, its options, its help; light to import."""
