#!/bin/sh
# Resolve every extra with hashes, all to the same versions. No index address is written.
set -eu
uv=$1
cd "$(dirname "$0")/.."
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-package sentiment-stream \
    "$@" pyproject.toml
}
compile --extra dev -o requirements/dev.txt
for name in demo trainer trends web worker; do
  compile --extra "$name" --constraint requirements/dev.txt -o "requirements/$name.txt"
done
