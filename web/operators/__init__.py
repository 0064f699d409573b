"""The page for operators: dead letters, redrives, models; off unless configured.

- `routes`: its pages, and how they come into the app
- `redrives`: redrives in the background, one at a time
- `login`: who is asking: by a token or a proxy; sessions, and how often an address may be wrong
- `pages`: answers as HTML or JSON, and foreign text that only shows
"""
