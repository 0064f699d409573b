"""Windowed aggregates of what the workers did, from their tallies; a Faust app.

- `windows`: what a window holds, and how tallies come into it exactly once
- `book`: all windows, kept in a table
- `app`: the Faust app: the table and its changelog, reading, publishing, the web views
"""
