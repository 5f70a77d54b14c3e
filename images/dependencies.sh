#!/bin/sh
# The common part of the three images' first stages: /opt/longtail holds Python with the locked packages of one extra,
# and /usr/local/bin/longtail-NAME runs the package longtail_NAME. Called as `dependencies.sh NAME` beside
# pyproject.toml and uv.lock.
set -eu
name="$1"
cd "$(dirname "$0")"
python3 -m venv /opt/longtail
/opt/longtail/bin/python -m pip install --quiet --no-cache-dir uv==0.13.8
# Copies, because uv's cache is another file system; compiled, because a container cannot write what it compiles.
VIRTUAL_ENV=/opt/longtail UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    /opt/longtail/bin/uv sync --quiet --active --frozen --no-install-project --extra "$name" --inexact
/opt/longtail/bin/python -m pip uninstall --quiet --yes uv
printf '#!/bin/sh\nexec /opt/longtail/bin/python -m longtail_%s "$@"\n' "$name" > "/usr/local/bin/longtail-$name"
chmod 755 "/usr/local/bin/longtail-$name"
