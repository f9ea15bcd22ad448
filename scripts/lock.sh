#!/bin/sh
# Resolve pyproject.toml into the lock files: every platform, every hash, no registry named.
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
compile() { "$uv" pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml "$@"; }
compile -o requirements.lock
compile --group dev -c requirements.lock -o requirements-dev.lock
compile --group dev --group bench -c requirements.lock -o requirements-bench.lock
