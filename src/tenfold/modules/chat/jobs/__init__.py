"""What follows a fact of chat or of identity, and what chat does on a clock, by what it is about."""
