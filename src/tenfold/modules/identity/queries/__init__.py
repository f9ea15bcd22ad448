"""Every SQL statement of identity, one file per subject."""
