"""What the Redis backends share: connections with deadlines, batches of operations, wake-ups, and the scripts Redis runs."""
