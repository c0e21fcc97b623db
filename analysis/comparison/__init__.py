"""What a question compares, and in what its arms differ besides."""
