"""What is sensible and who may: pure functions, one file per subject."""
