"""The training engine: losses, epochs, and how scores are judged."""
