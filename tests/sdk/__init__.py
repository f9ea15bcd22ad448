"""The official SDKs, unchanged, against the house as it is served."""
