"""Measures a running service: ``python -m bench`` prints memory per connection and server CPU per update."""
