"""[pure] Files that people write: YAML, and texts with a head of YAML. What they must say is their readers' affair."""

import re
from typing import Any

import yaml
from pydantic import ValidationError

FRONT_MATTER = re.compile(r"---\n(?P<head>.*?\n)---\n(?P<text>.*)", re.DOTALL)


class DocumentError(ValueError):
    """Says in one line why a text cannot be read."""


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _value in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands twice", node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep)


def parsed_yaml(text: str) -> Any:
    """What the text says. Raises DocumentError where it is not YAML or tells a key twice."""
    try:
        return yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {' '.join(str(error).split())}") from None


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Head and text of a file that begins with YAML between two lines `---`. Raises DocumentError."""
    if (parts := FRONT_MATTER.fullmatch(text)) is None:
        raise DocumentError("expected a head of YAML between two lines `---`, then the text")
    head = parsed_yaml(parts["head"])
    if not isinstance(head, dict):
        raise DocumentError(f"expected a mapping in the head, found {head!r}")
    return head, parts["text"].strip()


def fault_lines(where: str, error: ValidationError, *, whole: str) -> list[str]:
    """A line for each fault of what a model refused. whole: how to call the thing itself."""
    return [_fault(where, problem, whole) for problem in error.errors()]


def _fault(where: str, problem: Any, whole: str) -> str:
    field = ".".join(str(part) for part in problem["loc"]) or whole
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{where}: {field}: missing"
    if problem["type"] == "extra_forbidden":
        return f"{where}: {field}: no such field"
    return f"{where}: {field}: found {problem['input']!r}: {message}" if problem["loc"] else f"{where}: {message}"
