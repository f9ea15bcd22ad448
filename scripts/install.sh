#!/bin/sh
# Make or refresh .venv from a lock file: `install.sh requirements.lock`. Needs python3 >= 3.11; fetches uv when it is absent.
set -eu
cd "$(dirname "$0")/.."
lock=${1:-requirements.lock}
stamp=.venv/.installed-$(basename "$lock" .lock)

say() { printf '%s\n' "$*" >&2; }

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    say "Tenfold needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1 || echo absent). Set PYTHON=/path/to/python3.11."
    exit 1
}
if [ -f "$stamp" ] && [ "$stamp" -nt "$lock" ] && [ "$stamp" -nt pyproject.toml ] && [ -x .venv/bin/python ]; then
    exit 0
fi

if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv 2>/dev/null; then
    rm -rf .venv
    command -v uv >/dev/null || sh scripts/packages.sh python3-venv
    if command -v uv >/dev/null; then uv venv -q --python "$python" .venv; else "$python" -m venv .venv; fi
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    [ -x .venv/bin/uv ] || { say "Fetching uv ..."; .venv/bin/python -m pip install -q --disable-pip-version-check uv; }
    uv=.venv/bin/uv
fi
say "Installing the locked dependencies ($lock) ..."
"$uv" pip install -q --python .venv/bin/python --compile-bytecode --require-hashes -r "$lock"
"$uv" pip install -q --python .venv/bin/python --no-deps -e .
.venv/bin/python -m compileall -q src
touch "$stamp"
