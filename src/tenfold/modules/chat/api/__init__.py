"""The doors of chat, by capability."""
