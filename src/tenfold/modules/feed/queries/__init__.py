"""Every SQL statement of the feed, by capability. Lists of posts share one tail: originals, counters, viewer state."""
