"""Access: which callers may call which methods, by certificate or by signed token."""
