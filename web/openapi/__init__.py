"""The API as an OpenAPI document, made of the types that the code itself reads and answers with.

- `schemas`: the types, and the small pieces of such a document
- `paths`: what each route takes and answers
- `document`: all of it together, and its routes
"""
