"""urllib of the standard library."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for name in sys.argv[2:]:
    try:
        with opener.open(sys.argv[1], data=Path(name).read_bytes()) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode())
