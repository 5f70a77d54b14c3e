"""The search core: spaces of choices, samplers that ask for candidates, evaluators that judge them, one driver."""
