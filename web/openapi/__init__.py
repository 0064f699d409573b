"""The API as an OpenAPI document, made of the types that the code itself reads and answers with.

- `parts`: the small pieces of such a document
- `schemas`: the types
- `posts`, `gets`, `paths`: what each route takes and answers
- `document`: all of it together; `routes` serves it, `__main__` writes `docs/openapi.yaml`
"""
