"""The frames of pages, their style and the parts of their script: a package, so that copies of the code hold them."""
