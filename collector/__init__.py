"""Hits in, events out, and what people see: the collector program."""
