"""Many lines at one time: taken in, sent in the background, and their results given back in order.

- `upload`, `reading`: the body of a request, and the events in it
- `batch`, `store`: one upload and what became of it; all of them, and the thread that sends them
- `export`: the results as a file
- `routes`: the API of it
"""
