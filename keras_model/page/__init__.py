"""The page on which songs are heard by one or several networks: what each made of a song, drawn and laid out."""
