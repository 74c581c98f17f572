"""The JSON Schema of config.yaml, for editors: `smsbridge schema > smsbridge.schema.json`.

It is made from the models, and knows what they cannot say by themselves: the forms in which a secret may be written,
and a carrier's own keys by the `kind` of its section. What only the whole shows is told by `smsbridge check` alone.
Only the command line imports this.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from smsbridge.config_schema import PROVIDER_NAME, SECTIONS, Config
from smsbridge.config_secrets import secret_forms
from smsbridge.providers.contract import ProviderKind

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def json_schema(kinds: Mapping[str, ProviderKind]) -> Schema:
    """The schema of the file, for the kinds of provider that are installed."""
    schema = _of_model(Config, "#/$defs/{model}")
    definitions: Schema = schema.pop("$defs")
    for ours in ("Account", "BaseModel"):
        definitions.pop(ours, None)
    for model in SECTIONS.values():
        if model is not Config:
            definitions[model.__name__] |= _of_model(model, "#/$defs/{model}")
            definitions[model.__name__].pop("$defs", None)
    contact = definitions["ContactSettings"]  # its short form is the name alone
    definitions["ContactSettings"] = {
        "description": contact["description"],
        "anyOf": [{"type": "string"}, contact],
    }
    sections = []
    for name, kind in sorted(kinds.items()):
        section = _of_model(kind.settings, f"#/$defs/{name}.{{model}}")
        definitions |= {f"{name}.{inner}": value for inner, value in section.pop("$defs", {}).items()}
        section["properties"] = {"kind": {"const": name}, **section["properties"]}
        section["required"] = ["kind", *section.get("required", ())]
        section["additionalProperties"] = False
        sections.append(section)
    described = schema["properties"]["providers"].get("description", "")
    schema["properties"]["providers"] = {
        "description": described,
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{PROVIDER_NAME.pattern}$"},
        "additionalProperties": {"oneOf": sections},
    }
    titles = {"$schema": DRAFT, "title": "The configuration of smsbridge"}
    return {**titles, **{key: value for key, value in schema.items() if key not in titles}, "$defs": definitions}


def _of_model(model: type[BaseModel], ref_template: str) -> Schema:
    """A model's schema, with every form in which its secrets may be written."""
    schema = model.model_json_schema(ref_template=ref_template)
    properties: Schema = schema["properties"]
    choices: list[Schema] = []
    for forms in secret_forms(model):
        field = properties.get(forms.field) or properties[forms.single]
        single = field.get("items", field) if forms.is_many else field
        properties.setdefault(forms.single, single)
        properties[forms.single] = {**single, "description": "the secret itself, or ${NAME}: better a file"}
        properties[forms.file] = {
            "type": "string",
            "minLength": 1,
            "description": "the path of a file, or the name of a systemd credential",
        }
        ways: list[Schema] = [{"required": [key]} for key in forms.keys]
        if {forms.field, forms.single}.intersection(schema.get("required", ())):
            schema["required"] = [key for key in schema["required"] if key not in {forms.field, forms.single}]
        else:
            ways.append({"not": {"anyOf": [{"required": [key]} for key in forms.keys]}})
        choices.append({"oneOf": ways})
    if choices:
        schema["allOf"] = [*schema.get("allOf", ()), *choices]
    return _tidied({key: value for key, value in schema.items() if value != []})


def _tidied(schema: Schema) -> Schema:
    """Without the titles that only repeat a key, and shut where keys have a form."""
    for inner in schema.get("properties", {}).values():
        inner.pop("title", None)
        if "patternProperties" in inner:
            inner["additionalProperties"] = False
    for inner in schema.get("$defs", {}).values():
        _tidied(inner)
    return schema


def descriptions(schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a schema with what is said about it."""
    for key, inner in schema.get("properties", {}).items():
        yield f"{path}{key}", inner.get("description", "")
    for name, inner in schema.get("$defs", {}).items():
        yield from descriptions(inner, f"{name}.")
