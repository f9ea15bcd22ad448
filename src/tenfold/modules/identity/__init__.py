"""Identity: who people are, and which of their devices may speak for them."""
