"""What a history says in words and numbers: a pure function of history, release and moment."""
