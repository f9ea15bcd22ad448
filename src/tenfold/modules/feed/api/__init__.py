"""The HTTP doors of the feed, by capability: posts, reactions, the graph, timelines, moderation."""
