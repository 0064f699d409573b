"""The page for operators: dead letters, redrives, models; off unless configured.

- `sessions`: the cookie of somebody who has logged in, and the guard against forged forms
- `guesses`: how often an address may be wrong about a secret
- `login`: who is asking: by a token, or by a proxy that logs people in
- `filters`: which dead letters a request is about
- `listing`: one bounded pass over them; `visible`: foreign bytes as text that can be seen
- `redrives`: redrives in the background, one at a time
- `dead_letters`, `runs`, `models`: the routes; `answers` says them as HTML or JSON
- `install`: puts them into the app
"""
