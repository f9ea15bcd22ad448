"""The deeds of identity, one file per capability."""
