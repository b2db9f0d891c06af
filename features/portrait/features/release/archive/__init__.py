"""Releases in an archive: pushed to a folder or an S3 bucket, signed there, and pulled from it by gateways."""
