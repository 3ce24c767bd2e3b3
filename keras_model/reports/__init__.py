"""Reports of runs and comparisons of several: statistics, tables, figures, pages."""
