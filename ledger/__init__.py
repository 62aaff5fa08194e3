"""What relay and collector share: words and the durable record."""
