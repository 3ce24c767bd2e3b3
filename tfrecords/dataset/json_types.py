"""What was read from JSON is of the types that its reader declares, or is refused."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

from tfrecords.errors import quoted


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
    for key, (fits, is_optional, kind) in _checks(declared).items():
        if key in values:
            if not fits(values[key]):
                raise ValueError(f"{key!r} of {name} must be of type {kind}, got {quoted(values[key])}")
        elif not is_optional:
            raise ValueError(f"{name} lacks {key!r}")


@lru_cache
def _checks(declared: type) -> dict[str, tuple[Callable[[Any], bool], bool, str]]:
    """By key: whether a value fits, whether the key may be missing, and the name of the type. For a million lines, found once."""
    optional: frozenset[str] = getattr(declared, "__optional_keys__", frozenset())
    return {
        key: (_fits(annotation), key in optional, annotation.__name__ if isinstance(annotation, type) else str(annotation))
        for key, annotation in get_type_hints(declared).items()
    }


def _fits(annotation: Any) -> Callable[[Any], bool]:
    """The test of a value against an annotation."""
    origin = get_origin(annotation)
    if annotation is Any:
        return lambda value: True
    if annotation is float:
        return lambda value: type(value) in (float, int)
    if origin is None:
        return lambda value: type(value) is annotation
    inner = [_fits(argument) for argument in get_args(annotation) if argument is not ...]
    if origin is NotRequired:
        return inner[0]
    if origin is UnionType:
        return lambda value: any(fits(value) for fits in inner)
    if origin is Mapping:
        return lambda value: isinstance(value, Mapping) and all(map(inner[1], value.values()))
    return lambda value: type(value) is origin and all(map(inner[0], value))
