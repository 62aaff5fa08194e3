"""Raw bytes of a message, read by offset and never re-serialised."""
