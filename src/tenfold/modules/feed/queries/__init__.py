"""Every SQL statement of the feed, by capability. Lists of posts share one tail that adds originals, counters and viewer state."""
