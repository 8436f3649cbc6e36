"""What the Redis backends share: connections with deadlines, batches of operations, signals, and the scripts Redis runs."""
