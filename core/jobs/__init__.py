"""Background work: RQ on Redis with a JSON serializer and an allow-list of functions."""
