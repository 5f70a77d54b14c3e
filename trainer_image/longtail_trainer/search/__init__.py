"""Budget-limited architecture search (ALT III-D): the space, its distribution, GDAS, and the exact derivation."""
