"""What GTZAN is made of: its genres, in the order of their labels, and the ids of its thousand tracks."""

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TRACK_IDS = frozenset(f"{genre}.{number:05d}" for genre in GENRES for number in range(100))
