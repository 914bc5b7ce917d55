"""Readers of formats that belong to no tool in particular."""
