"""The platform parts, each engine under one suite."""
