"""The ground: each part is a small promise, its engines, and a memory twin."""
