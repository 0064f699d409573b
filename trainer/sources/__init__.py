"""Where texts come from, and what a usable row is.

- `inputs`: the files of a source
- `downloads`: copies of remote files
- `s3`: objects in S3
- `readers`: labelled rows of files
- `aclimdb`: the Large Movie Review Dataset's archive
- `examples`: from a row to a labelled text, or why it is none
"""
