"""The one definition of model input: how an event, a history, an item and a text become arrays.

Training and serving both encode with this package and with nothing else.
"""
