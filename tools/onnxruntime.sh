#!/bin/sh
# Installs ONNX Runtime for Node.js, which the tests and benches of the ONNX export run, into a
# folder of its own. No script of a package is run: the library is inside the package.
# Usage: tools/onnxruntime.sh [FOLDER]     FOLDER: build/onnxruntime
set -eu
cd "$(dirname "$0")/.."
version=1.20.1
folder=${1:-build/onnxruntime}

installed=$folder/node_modules/onnxruntime-node/package.json
if [ -f "$installed" ] && grep -q "\"version\": \"$version\"" "$installed"; then
    exit 0
fi
command -v npm >/dev/null || { echo "npm is not there: ONNX Runtime is not installed" >&2; exit 1; }
mkdir -p "$folder"
[ -f "$folder/package.json" ] || echo '{"private": true}' >"$folder/package.json"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --save-exact \
    "onnxruntime-node@$version"
