"""Audio files to genres on this machine, and what is said of them, whichever machine found them."""
