#!/bin/sh
# Resolve every extra with hashes, all to the same versions. No index address is written.
set -eu
uv=$1
cd "$(dirname "$0")/.."
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-package sentiment-stream "$@"
}
compile --extra dev -o requirements/dev.txt pyproject.toml
for name in build demo mlflow msk tracing trainer trends; do
  compile --extra "$name" --constraint requirements/dev.txt -o "requirements/$name.txt" \
    pyproject.toml
done
# An image's worker brings native code that was compiled ahead of time: its compiler stays behind.
compile --extra worker --constraint requirements/dev.txt -o requirements/worker.txt \
  --no-emit-package llvmlite --no-emit-package numba pyproject.toml
compile --extra aot --constraint requirements/dev.txt -o requirements/aot.txt \
  --no-emit-package numpy pyproject.toml
# With what its operators' page shows of the registry.
compile --extra web --extra operators --constraint requirements/dev.txt -o requirements/web.txt \
  pyproject.toml

# What looks for secrets and known weaknesses in CI, in an environment of its own.
compile -o requirements/scan.txt requirements/scan.in

# The peers of the benchmark: the model's libraries are ours, all else is as each peer wants it.
model=$(mktemp)
trap 'rm -f "$model"' EXIT
compile --constraint requirements/dev.txt -o "$model" requirements/peers/model.in
for name in bytewax faust quix spark; do
  compile --constraint "$model" -o "requirements/peers/$name.txt" "requirements/peers/$name.in"
done
