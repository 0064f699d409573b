"""Many lines at one time: taken in, sent in the background, and their results given back in order.

- `reading`: the body of an upload, and the events in it
- `batch`: one upload and what became of it; all of them, and the thread that sends them
- `export`: the results as a file, and the routes
"""
