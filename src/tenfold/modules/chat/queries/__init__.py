"""The statements of chat, by capability."""
