"""The gateway: gRPC services over a release of models that Triton serves."""
