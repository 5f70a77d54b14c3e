"""The control plane: reconciles Scenarios, HeavyModels and LightModelSearches."""
