"""The inference server and its checker."""
