"""The page for operators: dead letters, redrives, models; off unless configured.

- `install`: puts the routes into the app
- `login`: who is asking: by a token or a proxy; sessions, and how often an address may be wrong
- `listing`: which dead letters a request is about, and one bounded pass over them
- `redrives`: redrives in the background, one at a time
- `runs`: the routes of redrives
- `answers`: answers as HTML or JSON
"""
