#!/bin/sh
# Take out of an environment what no container uses: libraries' own tests, what only a debugger, a type
# checker or Cython reads, and Amazon's descriptions of services that nobody calls. Of a worker, a fifth.
set -eu
cd "$1"/lib/python3*/site-packages

# NumPy's core is left alone: its test helpers import a file from there.
find . -type d \( -name tests -o -name test \) -not -path './numpy/_core/*' -prune -exec rm -rf {} +

find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' \) -delete

# Libraries in *.libs were patched when their wheels were made, and do not survive it.
find . -name '*.so' -not -path './*.libs/*' -exec strip --strip-unneeded {} +

# Credentials of roles, web identities and profiles come from these three.
find botocore/data -mindepth 1 -maxdepth 1 -type d \
  -not -name sts -not -name sso -not -name sso-oidc -exec rm -rf {} +
