"""Files on disk: written atomically, checked by hash, read only if they are regular."""
