"""Multi-gate Mixture-of-Experts (Ma et al. 2018)."""
