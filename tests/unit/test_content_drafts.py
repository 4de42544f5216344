"""What a model is asked to answer with is what its vendor's strict mode takes."""

import jsonschema
import pytest
from openai.lib._parsing import type_to_response_format_param
from openai.lib._pydantic import to_strict_json_schema
from pydantic import ValidationError

from orchestration.content.drafts import Draft, Variant

# https://platform.openai.com/docs/guides/structured-outputs: what strict mode refuses, or refused for long.
REFUSED = {"default", "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "oneOf"}


def objects_in(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


def test_the_schema_is_strict():
    """Prevents a 400 to every call: strict mode wants each property required and nothing else allowed."""
    schema = to_strict_json_schema(Draft)
    assert type_to_response_format_param(Draft)["json_schema"] == {"name": "Draft", "strict": True, "schema": schema}
    for part in objects_in(schema):
        assert set(part) & REFUSED == set()
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert set(part["required"]) == set(part["properties"])
    assert set(schema["$defs"]["Variant"]["properties"]) == {"subject", "preview", "body"}


def test_the_schema_takes_a_draft_and_no_other_answer():
    schema = to_strict_json_schema(Draft)
    whole = {"variants": [{"subject": "s", "preview": "p", "body": "b"}]}
    jsonschema.validate(whole, schema)
    assert Draft.model_validate(whole).variants == [Variant(subject="s", preview="p", body="b")]
    for broken in ({}, {"variants": [{"subject": "s", "preview": "p"}]}, {**whole, "note": "x"}, {"variants": "s"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
        with pytest.raises(ValidationError):
            Draft.model_validate(broken)
