"""[pure] Says in words what a typed field accepts, for the messages of settings and policy."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def expectation(field: FieldInfo) -> str:
    """For example "a whole number from 1 to 365", "one of last, first", or the field's own title."""
    if field.title is not None:
        return field.title
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    return NAMES[kind] + _limits(field.metadata)


def _limits(metadata: list[Any]) -> str:
    words = ""
    for limit in metadata:
        match limit:
            case Ge(ge=least):
                words += f" from {least}"
            case Gt(gt=least):
                words += f" above {least}"
    for limit in metadata:
        match limit:
            case Le(le=most):
                words += f" to {most}"
            case Lt(lt=most):
                words += f" below {most}"
    return words


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation
