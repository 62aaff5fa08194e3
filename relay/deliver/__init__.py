"""SMTP out: one copy to the next hop, over connections that are kept."""
