"""What was read from JSON is of the types that its reader declares, or is refused."""

import reprlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints


def check_types(values: Mapping[str, Any], declared: type, *, name: str) -> None:
    """Checks values against the annotations of a dataclass or a TypedDict. Keys that it does not declare may have any value.

    Args:
        values: What was read, by key.
        declared: The class. Its annotations may be made of str, int, float (which a JSON integer fits too), bool, None, Any,
            list, tuple, Mapping, unions and classes.
        name: What the values are, for the error.

    Raises:
        ValueError: Naming the first key that is missing or has a value of another type.
    """
    optional: frozenset[str] = getattr(declared, "__optional_keys__", frozenset())
    for key, annotation in get_type_hints(declared).items():
        if key in values:
            if not _fits(values[key], annotation):
                kind = annotation.__name__ if isinstance(annotation, type) else str(annotation)
                raise ValueError(f"{key!r} of {name} must be of type {kind}, got {reprlib.repr(values[key])}")
        elif key not in optional:
            raise ValueError(f"{name} lacks {key!r}")


def _fits(value: Any, annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if annotation is float:
        return type(value) in (float, int)
    if origin is NotRequired:
        return _fits(value, arguments[0])
    if origin is UnionType:
        return any(_fits(value, argument) for argument in arguments)
    if origin in (list, tuple):
        return type(value) is origin and all(_fits(item, arguments[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(item, arguments[1]) for item in value.values())
    return type(value) is annotation
