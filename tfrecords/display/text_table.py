"""Tables for the screen."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], *, n_left: int = 1) -> list[str]:
    """Lines of a table, its columns two spaces apart.

    Args:
        rows: Of cells, as many in each row.
        n_left: So many first columns are flush left, the others flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < n_left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
