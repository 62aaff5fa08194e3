"""SMTP in: what clients say, until it is a submission."""
