"""The runner on this machine, and what it shows; nothing else asks which runner runs."""
