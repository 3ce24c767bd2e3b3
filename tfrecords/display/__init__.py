"""What people look at: tables, figures, spectrograms, and the page of a dataset."""
