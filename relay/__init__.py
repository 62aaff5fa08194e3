"""Mail in, tracked copies out: the relay program."""
