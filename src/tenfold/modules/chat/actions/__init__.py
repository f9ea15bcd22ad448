"""The deeds of chat, by capability: each loads once, decides, writes and announces."""
