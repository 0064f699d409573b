#!/bin/sh
# The values of a delivery, as Helm's options on one line; run from the project's root.
#
# HELM_VALUES: names of files in helm/sentiment-stream/, later ones on top; values-eks.yaml if empty.
# HELM_OWN_VALUES: what only this account has, as YAML: the page's name and certificate, MSK's addresses
# and roles. It goes on top of all, by way of the file $1.
set -euf
folder=helm/sentiment-stream
options=
for name in ${HELM_VALUES:-values-eks.yaml}; do
  there=
  case $name in
    */*) ;;
    values*.yaml) there=$folder/$name ;;
  esac
  if ! test -f "$there"; then
    known=$(cd $folder && ls | grep '^values-.*\.yaml$' | tr '\n' ' ')
    echo "The repository's variable HELM_VALUES names '$name', which is no file of $folder. There are: $known" >&2
    exit 1
  fi
  options="$options --values $there"
done
if test -n "${HELM_OWN_VALUES:-}"; then
  printf '%s\n' "$HELM_OWN_VALUES" > "$1"
  options="$options --values $1"
fi
echo "$options"
