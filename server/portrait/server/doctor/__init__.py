"""Checks of a machine, a configuration and running gateways, for `portrait doctor`: what is wrong, and what to do."""
