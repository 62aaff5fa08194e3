"""The recipient's page in the languages it speaks."""
