"""What happens round every call: each file holds one thing, `portrait.server.app` their order."""
