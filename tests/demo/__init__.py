"""The main job as a newcomer runs it: `make demo`."""
