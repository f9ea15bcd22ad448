"""WebSocket clients by the thousand: bare descriptors under epoll, frames written by hand, no object per connection."""
