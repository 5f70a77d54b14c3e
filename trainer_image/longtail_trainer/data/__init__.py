"""From raw tables to batches: preparation, features, encoded samples and the sources that batches come from."""
