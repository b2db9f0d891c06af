"""Search of the nearest items in Milvus, where a collection holds the vectors of a release."""
