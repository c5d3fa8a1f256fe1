"""The JSON Schema of the ame.yml, for editors and other tools, made of the grammar.

Such a tool sees the file with YAML's own types: `4` is a number to it, `no` a boolean in some versions of
YAML, and a tag is mostly nothing. Seen like that, whatever `load_project` reads fits the schema. What fits
may still be refused: references, tags, and most of what concerns several keys are not said here.

`doNotSuggest`, `errorMessage`, `patternErrorMessage` and `markdownDescription` are words of VS Code and
yaml-language-server, which other tools pass over: what is older is not proposed, and a mistake gets the
loader's own sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ame import __version__
from ame.spec import words
from ame.spec.grammar import (
    DOMAIN,
    Anything,
    Choice,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Scalar,
    Shape,
    Tagged,
    Type,
    Whole,
    shapes_below,
)
from ame.spec.kinds import any_case, literally
from ame.spec.problems import Unreadable
from ame.spec.scalars import FALSE, INTEGER, NUMBER, TRUE

__all__ = ["json_schema"]

Schema = dict[str, Any]

_LATER = "This release does not carry it out."


def json_schema() -> Schema:
    """The schema, draft 2020-12, as what `json.dumps` takes; the same each time."""
    root, *others = shapes_below(words.PROJECT)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written by `ame schema` of ame-flows {__version__}.",
        "title": "The AME file",
        **_shape(root),
        "$defs": {shape.name: _shape(shape) for shape in others},
    }


def _shape(shape: Shape) -> Schema:
    properties = {word: _key(key) for word, key in shape.keys.items()}
    for word, meant in shape.older.items():
        properties[word] = _deprecated(_key(shape[meant]), f"An older spelling of `{meant}`.")
    for word, key in shape.dated.items():
        properties[word] = _deprecated(_key(key), key.about)
    for word, why in shape.idle.items():
        properties[word] = _deprecated({}, f"Without effect. {why}")
    for word, instead in shape.withheld.items():
        message = f"{_LATER} {instead}".rstrip()
        # Nothing behind such a word is only warned of.
        properties[word] = _deprecated({"enum": [None, [], {}], "errorMessage": message}, message)
    return {
        **_described(shape.about),
        "type": "object",
        "properties": properties,
        **({"patternProperties": {_whole(DOMAIN.pattern): _key(shape.domains)}} if shape.domains else {}),
        "additionalProperties": False,
        **_conditions(shape),
    }


def _deprecated(schema: Schema, message: str) -> Schema:
    return {**schema, **_described(message), "deprecated": True, "doNotSuggest": True}


def _described(text: str) -> Schema:
    """A description; code in it is shown as code where that is known."""
    return {"description": text, **({"markdownDescription": text} if "`" in text else {})}


def _conditions(shape: Shape) -> Schema:
    """Which keys must be given, under today's or an older name."""
    spellings = {
        word: [older for older, meant in shape.older.items() if meant == word] for word in shape.required
    }
    required = [word for word, older in spellings.items() if not older]
    conditions: list[Schema] = [
        {
            "if": {"not": {"anyOf": [{"required": [each]} for each in older]}},
            "then": {"required": [word]},
        }
        for word, older in spellings.items()
        if older
    ]
    if shape.one_of:
        conditions.append({"oneOf": _given(shape.one_of)})
    if shape.any_of:
        conditions.append({"anyOf": _given(shape.any_of)})
    said: Schema = {"required": required} if required else {}
    if len(conditions) == 1:
        return said | conditions[0]
    return said | ({"allOf": conditions} if conditions else {})


def _given(keys: Iterable[str]) -> list[Schema]:
    """That a key is there with something behind it, for each key."""
    return [{"required": [word], "properties": {word: {"not": {"type": "null"}}}} for word in keys]


def _key(key: Key) -> Schema:
    schema = _type(key.type, nullable=key.nullable and not key.required)
    schema |= _described(f"{key.about} {_range(key.type)}".rstrip())
    if key.default is not None:
        schema["default"] = key.default
    return schema


def _range(of: Type) -> str:
    """The bounds of a number as a sentence, which editors show nowhere else."""
    said = of.range if isinstance(of, Whole | Number) else ""
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _type(of: Type, *, nullable: bool = False) -> Schema:
    match of:
        case Scalar():
            schema = _scalar(of, nullable=nullable)
        case Whole() | Number():
            pattern = INTEGER.pattern if isinstance(of, Whole) else NUMBER.pattern
            schema = {
                "type": _types(_number(of), "string", nullable=nullable),
                **_pattern(pattern, of.read),
                **_bounds(of),
            }
        case Flag():
            schema = {
                "type": _types("boolean", "string", nullable=nullable),
                **_pattern("|".join(map(any_case, TRUE + FALSE)), of.read),
            }
        case Choice():
            schema = {"enum": [*of.words, *([None] if nullable else [])]}
        case ListOf():
            needs = {"required": [*of.needs]} if of.needs else {}
            schema = {"type": _types("array", nullable=nullable), "items": {**_type(of.item), **needs}}
        case MapOf():
            schema = _mapping(of, nullable=nullable)
        case OneOf():
            older = (_deprecated(_type(kind), "An older form.") for kind in of.older)
            schema = _any([*map(_type, of.kinds), *older], nullable=nullable)
        case Tagged():
            schema = _any([*map(_type, of.shapes), _tagged(of)], nullable=nullable)
        case Anything():
            schema = {"type": _types("object", "array", "string", "number", "boolean", nullable=nullable)}
        case Shape():
            reference = {"$ref": f"#/$defs/{of.name}"}
            schema = _any([reference], nullable=True) if nullable else reference
    return schema


def _scalar(of: Scalar, *, nullable: bool) -> Schema:
    number = [_number(of.number)] if of.number else []
    boolean = ["boolean"] if of.boolean else []
    return {
        "type": _types("string", *number, *boolean, nullable=nullable),
        **(_pattern(of.pattern, of.read) if of.pattern else {}),
        **(_bounds(of.number) if of.number else {}),
    }


def _number(number: Whole | Number) -> str:
    return "integer" if isinstance(number, Whole) else "number"


def _pattern(pattern: str, reader: Callable[[str], object]) -> Schema:
    """A pattern, and what the reader says of some texts that fit few of them."""
    said: dict[str, None] = {}
    for text in (" ", "!", "AME_"):
        try:
            reader(text)
        except Unreadable as wanted:
            said[wanted.why] = None
    return {"pattern": _whole(pattern), **({"patternErrorMessage": " ".join(said)} if said else {})}


def _bounds(number: Whole | Number) -> Mapping[str, float]:
    bounds: dict[str, float | None]
    if isinstance(number, Whole):
        bounds = {"minimum": number.low, "maximum": number.high}
    else:
        bounds = {
            "minimum": number.least,
            "exclusiveMinimum": number.above,
            "maximum": number.most,
            "exclusiveMaximum": number.below,
        }
    return {word: bound for word, bound in bounds.items() if bound is not None}


def _mapping(of: MapOf, *, nullable: bool) -> Schema:
    schema: Schema = {"type": _types("object", nullable=nullable), "additionalProperties": _type(of.value)}
    if of.key is not None:
        free = f"(?!{'|'.join(map(literally, of.reserved))})" if of.reserved else ""
        schema["propertyNames"] = _pattern(free + of.key.pattern, of.key.read)
    return schema


def _tagged(of: Tagged) -> Schema:
    """`{pip: {...}}`, which says in plain YAML what the tag says."""
    return {
        "type": "object",
        "properties": {kind: _type(shape, nullable=True) for kind, shape in of.kinds.items()},
        "patternProperties": {
            _whole(any_case(word)): _type(of.kinds[kind], nullable=True)
            for word, kind in (*zip(of.kinds, of.kinds, strict=True), *of.older.items())
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _any(schemas: list[Schema], *, nullable: bool) -> Schema:
    return {"anyOf": [*schemas, {"type": "null"}] if nullable else schemas}


def _types(*names: str, nullable: bool) -> str | list[str]:
    if nullable:
        return [*names, "null"]
    return names[0] if len(names) == 1 else [*names]


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
