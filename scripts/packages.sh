#!/bin/sh
# Install Debian packages that are missing, when this user may; else name them and stop: `packages.sh postgresql-15 ...`.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root="no"
fi
if [ "$as_root" = no ] || ! command -v apt-get >/dev/null; then
    echo "These packages are needed and this user may not install them:$missing" >&2
    echo "Ask an administrator for: apt-get install$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# A package's own start of its service is not wanted: tests start their servers themselves.
$as_root apt-get update -qq </dev/null >/dev/null
$as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
