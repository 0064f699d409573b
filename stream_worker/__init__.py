"""stream_worker."""
