"""httpx, with a client."""

import sys
from pathlib import Path

import httpx

with httpx.Client(trust_env=False) as client:
    for name in sys.argv[2:]:
        answer = client.post(sys.argv[1], content=Path(name).read_bytes())
        print(answer.status_code, answer.text)
