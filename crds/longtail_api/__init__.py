"""The API: the three resources, the run configs and every object in the store, as pydantic models.

What the operator, the trainer and the serving image agree on stands here and nowhere else. Types
alone: no I/O, no kopf, torch or boto3 (held by import-linter). `python -m longtail_api.crdgen` writes
`crds/*.yaml` from these models.
"""
