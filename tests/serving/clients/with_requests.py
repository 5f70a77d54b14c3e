"""requests, with a session."""

import sys
from pathlib import Path

import requests

with requests.Session() as session:
    session.trust_env = False
    for name in sys.argv[2:]:
        answer = session.post(sys.argv[1], data=Path(name).read_bytes())
        print(answer.status_code, answer.text)
