"""What can be started: build, run, close."""
