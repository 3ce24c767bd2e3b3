"""The templates of all self-contained pages, which share their style, and of cards."""

from typing import Any

import jinja2


def render_template(name: str, *, package: str, **values: Any) -> str:
    """The HTML of a page, or the Markdown of a card.

    Args:
        name: Of the template, which may include those of `tfrecords.display`.
        package: Whose template it is.
        values: What the template needs.
    """
    loaders = [jinja2.PackageLoader(owner) for owner in dict.fromkeys((package, "tfrecords.display"))]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(name).render(**values)
