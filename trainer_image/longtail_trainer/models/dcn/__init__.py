"""Deep & Cross Network (Wang et al. 2017)."""
