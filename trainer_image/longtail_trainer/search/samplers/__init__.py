"""What asks for the next candidate. A new sampler is one file here and one line in `algorithms.SAMPLERS`."""
