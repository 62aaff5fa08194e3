"""The same as the pages, for programs: JSON over HTTP, by token."""
