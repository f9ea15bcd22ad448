"""A million connections on one machine: both ends of it, and what it costs to hold them."""
