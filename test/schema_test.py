#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published schema says the same of workflow files as weft does.

src/core/definition_test.c holds weft itself against the cases of src/core/definition_cases.txt; here
the schema is held against them: it takes what weft takes, and refuses what is marked [schema].
"""
import glob
import json
import os
import re

import tap

try:
    import jsonschema
    import yaml
except ImportError as e:
    jsonschema = yaml = None
    missing = f"{e.name} is not installed"

SOURCE = os.environ["WEFT_SOURCE"]


def needs_modules():
    if not jsonschema:
        raise tap.Skip(missing)


def core_loader():
    """A loader that types scalars as YAML 1.2 does: `on` is text, and so is a date."""

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

    for tag, pattern, first in (
            ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
            ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
            ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
            ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
                      r"|\.(nan|NaN|NAN)", list("-+.0123456789"))):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"),
                                     first)
    return Loader


def load(text):
    return yaml.load(text, Loader=core_loader())


def validator():
    with open(os.path.join(SOURCE, "schemas/workflow.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    cls = jsonschema.validators.validator_for(schema)
    cls.check_schema(schema)
    return cls(schema)


def errors_of(check, document):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
            for e in check.iter_errors(document)]


def cases():
    """(name, whether the schema refuses it, text, what weft says)"""
    with open(os.path.join(SOURCE, "src/core/definition_cases.txt"), encoding="utf-8") as f:
        text = f.read()
    for part in re.split(r"^== ", text, flags=re.M)[1:]:
        name, rest = part.split("\n", 1)
        file, said = re.split(r"^--\n", rest, maxsplit=1, flags=re.M)
        yield name.removesuffix(" [schema]"), name.endswith(" [schema]"), file, said


@tap.case
def what_weft_takes_the_schema_takes():
    needs_modules()
    check = validator()
    good = [c for c in cases() if c[3].startswith("workflow ")]
    assert len(good) > 5
    for name, _, text, _ in good:
        tap.equal(errors_of(check, load(text)), [], name)


@tap.case
def what_is_marked_the_schema_refuses():
    needs_modules()
    check = validator()
    for name, marked, text, said in cases():
        if said.startswith("workflow "):
            tap.equal(marked, False, name)
            continue
        tap.equal(bool(errors_of(check, load(text))), marked, name)


@tap.case
def each_bad_line_alone_is_refused():
    """Of marked cases whose tasks or params stand in a line each, every line with an error."""
    needs_modules()
    check = validator()
    lines = 0
    for name, marked, text, said in cases():
        rows = text.splitlines()
        if not marked or rows[0] != "weft: 1" or rows[1] not in ("tasks:", "params:"):
            continue
        bad = {int(n) - 1 for n in re.findall(r"^(\d+):", said, flags=re.M)}
        for i in bad:
            if not re.match(r"  [^ ].*: ?\{.*\}$", rows[i]):
                continue
            tail = [r for r in rows[2:] if r.startswith("tasks:")]
            alone = "\n".join([rows[0], rows[1], rows[i], *tail])
            if not errors_of(check, load(alone)):
                raise AssertionError(f"{name}: the schema takes {rows[i]!r}")
            lines += 1
    assert lines > 60, lines


@tap.case
def the_examples_hold():
    needs_modules()
    check = validator()
    files = [f for ending in ("yaml", "yml", "json")
             for f in glob.glob(os.path.join(SOURCE, "examples", "**", f"*.{ending}"), recursive=True)]
    seen = 0
    for path in files:
        with open(path, encoding="utf-8") as f:
            document = load(f.read())
        if isinstance(document, dict) and "weft" in document:
            tap.equal(errors_of(check, document), [], path)
            seen += 1
    if not seen:
        raise tap.Skip("there are no examples yet")


@tap.case
def every_key_has_a_description():
    def walk(node, path):
        for name, value in node.get("properties", {}).items():
            if isinstance(value, dict) and "allOf" not in path and "then" not in path:
                target = value
                if "$ref" in value and "description" not in value:
                    target = schema["$defs"][value["$ref"].rsplit("/", 1)[1]]
                assert target.get("description"), f"{path}/{name} has no description"
                walk(value, f"{path}/{name}")
        for name, value in node.get("$defs", {}).items():
            walk(value, f"{path}/{name}")
        assert node.get("additionalProperties") is not True

    with open(os.path.join(SOURCE, "schemas/workflow.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    walk(schema, "")


tap.main()
