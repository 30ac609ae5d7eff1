#!/bin/sh
# Installs fauxqs, in the version that can also persist, and a node that can run
# it (22.5 or later) into the directory DIR, for FAUXQS_DIR=DIR.
set -eu
dir=${1:?usage: fauxqs.sh DIR}
command -v npm >/dev/null || { echo "fauxqs.sh: npm is not installed: the peer cannot be measured here" >&2; exit 1; }
mkdir -p "$dir"
cd "$dir"
[ -f package.json ] || npm init -y >/dev/null
npm install --no-audit --no-fund node@22 fauxqs@2.3.1
node_modules/.bin/node --version
