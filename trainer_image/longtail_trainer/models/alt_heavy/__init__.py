"""The heavy model of ALT, Sec. III-B: profile encoder, one behavior encoder per sequence, prediction module."""
