"""The training side: data preparation, models, operations, the ALT steps, and their command line."""
