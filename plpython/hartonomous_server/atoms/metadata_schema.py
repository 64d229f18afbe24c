"""Metadata against JSON Schema (Draft 2020-12), by the jsonschema library, under limits for any tenant's schema.

The library would fetch remote references, and give patterns to a matcher that backtracks and that nothing interrupts.
Here references stay inside the schema, patterns are matched by PostgreSQL, and keywords that are applied are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from hartonomous_server import errors
from hartonomous_server.db import interrupts, query

if TYPE_CHECKING:
    from referencing import Resource

DRAFT = "https://json-schema.org/draft/2020-12/schema"
LARGEST = 64 << 10  # bytes of a schema, and of metadata that a schema checks
MOST_STEPS = 100_000  # keywords applied to one metadata
STEPS_BETWEEN = 500  # interrupts
JUDGED = 20  # errors of one metadata, of which the most telling is reported
SHOWN = 200  # characters of what was found and expected


class Steps:
    """Counts what a check does, gives up, and lets the server interrupt it."""

    def __init__(self) -> None:
        self.db: Any = None
        self.interrupt: Callable[[], object] = lambda: None
        self.taken = 0

    def begin(self, db: Any) -> None:
        if db is not self.db:
            self.db, self.interrupt = db, interrupts(db)
        self.taken = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken % STEPS_BETWEEN == 0:
            self.interrupt()
        if self.taken > MOST_STEPS:
            raise errors.MetadataInvalid(f"metadata take more than {MOST_STEPS} steps to check", hint=_HINT)

    def matches(self, pattern: str, text: str) -> bool:
        return query(self.db, "select $1 ~ $2 as found", ("text", text), ("text", pattern))[0]["found"]


_HINT = "hartonomous.metadata_schema_list shows the schemas of your tenant"


def check(db: Any, schema: str, metadata: Sequence[str | None]) -> None:
    """MetadataInvalid unless all metadata (JSON texts; None: an empty object) are valid under a schema."""
    validator, steps = _compiled(schema)
    checked: dict[str, int] = {}
    for number, given in enumerate(metadata, 1):
        checked.setdefault("{}" if given is None else given, number)
    for text, number in checked.items():
        steps.begin(db)
        which = f"metadata {number} of {len(metadata)}" if len(metadata) > 1 else "metadata"
        try:
            if fault := _fault(validator, _loaded(text, which)):
                raise errors.MetadataInvalid(f"{which} {fault[0]}", detail=fault[1], hint=_HINT)
        except (ArithmeticError, RecursionError, ValueError) as error:  # numbers out of range, nested too deep
            raise errors.MetadataInvalid(f"{which} cannot be checked: {error}"[:SHOWN], hint=_HINT) from None


def check_schema(db: Any, schema: str) -> None:
    """InvalidParameter unless a schema is one by which `check` can check."""
    from jsonschema import Draft202012Validator
    from jsonschema_specifications import REGISTRY

    if (size := len(schema.encode())) > LARGEST:
        raise errors.InvalidParameter(f"schema has {size} bytes, expected at most {LARGEST}")
    steps = Steps()
    steps.begin(db)
    try:
        loaded = json.loads(schema)
        named = loaded.get("$schema", DRAFT) if isinstance(loaded, dict) else DRAFT
        if named != DRAFT:
            raise errors.InvalidParameter(f"$schema is {_shown(named)}, expected {DRAFT}")
        metaschema = _class(steps, by_library=True)(Draft202012Validator.META_SCHEMA, registry=REGISTRY)
        if fault := _fault(metaschema, loaded):
            raise errors.InvalidParameter(f"schema {fault[0]}", detail=fault[1], hint=f"the rules are {DRAFT}")
        for place, pattern in _restricted(loaded):
            _pattern_check(steps, place, pattern)
    except (ArithmeticError, RecursionError, ValueError) as error:
        raise errors.InvalidParameter(f"schema cannot be used: {error}"[:SHOWN]) from None


def _pattern_check(steps: Steps, place: str, pattern: str) -> None:
    try:
        steps.matches(pattern, "")
    except Exception as error:
        if getattr(error, "sqlstate", None) != "2201B":
            raise
        raise errors.InvalidParameter(
            f"{place} is {_shown(pattern)}, expected a regular expression of PostgreSQL", detail=str(error),
            hint=r'for example "^[a-z]+$"; in JSON a parenthesis that means itself is "\\("') from None


def _restricted(schema: Any) -> Iterator[tuple[str, str]]:
    """The patterns of a schema, each after its keyword; InvalidParameter for what would leave the limits."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    parts = [part.contents for part in _parts(root) if isinstance(part.contents, dict)]
    known = {id(part) for part in parts}
    resolver = Registry().resolver_with_root(root)
    for part in parts:
        for key in ("$id", "$schema"):
            if key in part and (part is not schema or key == "$id"):
                raise errors.InvalidParameter(f"schema has {key} {_shown(part[key])}, expected none")
        for key in ("$ref", "$dynamicRef"):
            try:
                # what lies outside of schemas, such as in a default, was not looked at
                target = resolver.lookup(part[key]).contents if part.get(key, "").startswith("#") else None
            except Unresolvable:
                target = None
            if key in part and not isinstance(target, bool) and id(target) not in known:
                raise errors.InvalidParameter(
                    f"{key} {_shown(part[key])} leads to no schema in this one", hint='for example "#/$defs/name"')
        if "patternProperties" in part and "unevaluatedProperties" in json.dumps(schema):
            raise errors.InvalidParameter("schema has patternProperties and unevaluatedProperties, expected one")
        yield from (("a name of patternProperties", name) for name in part.get("patternProperties", ()))
        yield from [("pattern", part["pattern"])] if "pattern" in part else []


def _parts(resource: Resource[Any]) -> Iterator[Resource[Any]]:
    yield resource
    for part in resource.subresources():
        yield from _parts(part)


@lru_cache(maxsize=16)
def _compiled(schema: str) -> tuple[Any, Steps]:
    from referencing import Registry

    steps, loaded = Steps(), json.loads(schema)
    if isinstance(loaded, dict):
        loaded.pop("$schema", None)  # the library would take its own class for it
    return _class(steps)(loaded, registry=Registry()), steps


def _class(steps: Steps, by_library: bool = False) -> Any:
    """Validator class whose keywords are counted; by_library: matching patterns as the library does."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    ours = {} if by_library else _keywords(steps)
    keywords = {name: _counted(steps, keyword) for name, keyword in (Draft202012Validator.VALIDATORS | ours).items()}
    return extend(Draft202012Validator, validators=keywords)


def _counted(steps: Steps, keyword: Callable[..., Any]) -> Callable[..., Any]:
    def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        steps.step()
        for error in keyword(validator, value, instance, schema) or ():
            error.message = error.message[:SHOWN]  # has all of the instance, and anyOf keeps those of its branches
            yield error

    return apply


def _keywords(steps: Steps) -> dict[str, Callable[..., Iterator[Any]]]:
    """Those that the library does by Python's regular expressions, or in the square of the items."""
    from jsonschema import ValidationError

    def matches(name: str, schema: Any) -> bool:
        return any(steps.matches(known, name) for known in schema.get("patternProperties", ()))

    def pattern(validator: Any, value: str, instance: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "string") and not steps.matches(value, instance):
            yield ValidationError(f"{instance!r} does not match {value!r}")

    def pattern_properties(validator: Any, value: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
        for known, part in value.items() if validator.is_type(instance, "object") else ():
            for name in instance:
                if steps.matches(known, name):
                    yield from validator.descend(instance[name], part, path=name, schema_path=known)

    def additional_properties(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        for name in instance if validator.is_type(instance, "object") else ():
            if name in schema.get("properties", {}) or matches(name, schema):
                continue
            if value is False:
                yield ValidationError(f"{name!r} is not expected", path=[name], instance=instance[name])
            yield from validator.descend(instance[name], value, path=name) if value is not False else ()

    def unique_items(validator: Any, value: bool, instance: Any, schema: Any) -> Iterator[Any]:
        if value and validator.is_type(instance, "array") and len(set(map(_key, instance))) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")

    return {"pattern": pattern, "patternProperties": pattern_properties,
            "additionalProperties": additional_properties, "uniqueItems": unique_items}


def _key(value: Any) -> object:
    """Equal for values that are equal in JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(map(_key, value))
    return isinstance(value, bool), value


def _fault(validator: Any, instance: Any) -> tuple[str, str] | None:
    """Where an instance fails, what was found there and what was expected; the library's words for it."""
    from jsonschema.exceptions import best_match

    error = best_match(islice(validator.iter_errors(instance), JUDGED))
    if error is None:
        return None
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
    expected = {error.validator: error.validator_value} if error.validator else False
    place = f'at "{pointer}" is' if pointer else "is"
    return f"{place} {_shown(error.instance)}, expected {_shown(expected)}", error.message


def _loaded(text: str, which: str) -> Any:
    if (size := len(text.encode())) > LARGEST:
        raise errors.MetadataInvalid(f"{which} has {size} bytes, a schema checks at most {LARGEST}", hint=_HINT)
    return json.loads(text)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
