"""The modules, through the door that people use."""
