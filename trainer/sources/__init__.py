"""Where texts come from: files, S3, web addresses, the aclImdb archive; and what a row is."""
