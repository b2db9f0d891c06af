"""Other servers with the same text encoder, each as well set up as its documentation and trials allow."""
