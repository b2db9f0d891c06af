"""The ranker of candidates, and what it reads beside the encoders: the item index and item associations."""
