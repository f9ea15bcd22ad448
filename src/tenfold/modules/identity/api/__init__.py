"""The HTTP doors of identity, one file per subject."""
