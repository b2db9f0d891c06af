"""Interceptors of every call: each file holds one, `portrait.server.gateway` lists them in their order."""
