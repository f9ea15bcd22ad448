"""What can be started, as people start it."""
