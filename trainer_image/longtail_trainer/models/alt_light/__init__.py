"""The light model of ALT, Sec. III-D: static features, one searched encoder per behavior sequence."""
