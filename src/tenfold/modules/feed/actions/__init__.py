"""The deeds of the feed, by capability: write, react, relate, keep homes, leave."""
