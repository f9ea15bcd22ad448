"""Laws about the code itself."""
