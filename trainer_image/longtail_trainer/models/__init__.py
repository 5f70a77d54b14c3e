"""Families of models. Each is a folder behind one contract; what they share is in `blocks`."""
