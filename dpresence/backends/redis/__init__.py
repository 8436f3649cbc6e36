"""Shared parts of the Redis backends: connections with timeouts, batched operations, signals, and Lua scripts."""
