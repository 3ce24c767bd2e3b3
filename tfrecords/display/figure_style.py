"""How all figures of the project look: settings of matplotlib."""

FIGURE_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 11,
    "legend.frameon": False,
    "figure.dpi": 200,
    # Names of genres and tracks are no formulas, whatever stands in them.
    "text.parse_math": False,
}
