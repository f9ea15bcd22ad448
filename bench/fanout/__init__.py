"""What it costs to bring a message to many: ours, Socket.IO and `websockets` side by side, one core each."""
