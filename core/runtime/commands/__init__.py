"""What ``stockade`` can be told, by what it is about."""
