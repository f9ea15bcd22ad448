#!/bin/sh
# Install the locked npm packages of a folder into its node_modules: `npm.sh tests/sdk`. Node and npm come as Debian packages where missing.
set -eu
cd "$(dirname "$0")/.."
folder=$1
stamp=$folder/node_modules/.installed
[ ! -f "$stamp" ] || [ ! "$stamp" -nt "$folder/package-lock.json" ] || exit 0
{ command -v node && command -v npm; } >/dev/null || sh scripts/packages.sh nodejs npm
printf '%s\n' "Installing the locked npm packages of $folder ..." >&2
(cd "$folder" && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error)
touch "$stamp"
