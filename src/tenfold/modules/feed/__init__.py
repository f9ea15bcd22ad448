"""Feed: posts, the people who follow them, and the timelines made of both."""
