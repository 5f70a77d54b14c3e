#!/bin/sh
# Print the path of uv; install it into the cache folder first where the machine has none.
set -eu
if command -v uv; then exit 0; fi
folder="${LONGTAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/longtail}/uv"
if [ ! -x "$folder/bin/uv" ]; then
    python3 -m venv "$folder" >&2 || { echo "python3 -m venv failed; install python3-venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
    "$folder/bin/python" -m pip install --quiet uv==0.13.8 >&2
fi
echo "$folder/bin/uv"
