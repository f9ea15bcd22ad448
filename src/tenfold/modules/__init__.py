"""The product: one folder per noun."""
