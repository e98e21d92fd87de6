#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The .proto files: they compile with the public tools, keep our rules, and are what is served."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request

import tap

try:
    from google.protobuf import descriptor_pb2
except ImportError:
    descriptor_pb2 = None
try:
    from grpc_tools import protoc as grpc_protoc
except ImportError:
    grpc_protoc = None

SOURCE = os.environ["WEFT_SOURCE"]
BUILD = os.environ["WEFT_BUILD"]
PROTO = os.path.join(SOURCE, "proto")
FILES = sorted(glob.glob("weft/v1/*.proto", root_dir=PROTO))
REPEATED = 3
CALLED = {"Runner"}  # by weft, at addresses of others
ROUTE = re.compile(r"(GET|PUT|POST|DELETE) (/v1/[^\s,]*?)[.:,]?(?=\s|$)")


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def descriptors():
    """The files with their comments, as protoc reads them."""
    if not descriptor_pb2:
        raise tap.Skip("python3-protobuf is not installed")
    if not shutil.which("protoc"):
        raise tap.Skip("protoc is not installed")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "set")
        done = run("protoc", "-I", PROTO, "--include_source_info", "--descriptor_set_out", out, *FILES)
        tap.equal(done.returncode, 0, done.stderr)
        with open(out, "rb") as f:
            return descriptor_pb2.FileDescriptorSet.FromString(f.read()).file


def rpcs():
    """Each as (name, comment)."""
    for file in descriptors():
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for i, service in enumerate(file.service):
            if service.name in CALLED:
                continue
            for j, method in enumerate(service.method):
                yield f"weft.v1.{service.name}/{method.name}", comments.get((6, i, 2, j), "").strip()


@tap.case
def protoc_takes_the_files():
    descriptors()


@tap.case
def grpc_tools_makes_python_of_them():
    if not grpc_protoc:
        raise tap.Skip("python3-grpc-tools is not installed")
    with tempfile.TemporaryDirectory() as folder:
        google = os.path.join(os.path.dirname(grpc_protoc.__file__), "_proto")
        # Debian's is from before proto3 had `optional`, which changes nothing on the wire.
        for name in FILES:
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(PROTO, name), encoding="utf-8") as f:
                text = re.sub(r"(?m)^  optional ", "  ", f.read())
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        done = grpc_protoc.main(["protoc", f"-I{folder}", f"-I{google}", f"--python_out={folder}",
                                 f"--grpc_python_out={folder}", *FILES])
        tap.equal(done, 0)
        tap.equal(len(glob.glob(f"{folder}/weft/v1/*_pb2_grpc.py")), len(FILES))


@tap.case
def every_field_tells_whether_it_is_there():
    def check(message, name):
        for field in message.field:
            tap.equal(field.proto3_optional or field.label == REPEATED, True, f"{name}.{field.name} is optional")
        for inner in message.nested_type:
            if not inner.options.map_entry:
                check(inner, f"{name}.{inner.name}")

    for file in descriptors():
        for message in file.message_type:
            check(message, message.name)


@tap.case
def every_rpc_begins_with_its_verb_and_path():
    found = list(rpcs())
    tap.equal(len(found) > 30, True, "there are some")
    for name, comment in found:
        tap.equal(bool(ROUTE.match(comment)), True, f"the comment of {name}")


@tap.case
def no_field_is_numbered_beyond_the_next():
    """Numbers without gaps: the codec finds a field by its number alone."""
    for file in descriptors():
        for message in file.message_type:
            tap.equal([f.number for f in message.field], list(range(1, len(message.field) + 1)), message.name)


ROW = re.compile(r'\bROW\("[\w.]+",\s*"(\w+/\w+)".*?\b(GET|PUT|POST|DELETE),\s*"([^"]+)"', re.S)


@tap.case
def every_rpc_has_one_row_in_the_table_of_methods():
    """And its path is that of the comment."""
    path = f"{SOURCE}/src/api/method_rows.h"
    if not os.path.exists(path):
        raise tap.Skip("there is no table of methods")
    with open(path, encoding="utf-8") as f:
        rows = [(f"weft.v1.{rpc}", f"{verb} /v1/{path}") for rpc, verb, path in ROW.findall(f.read())]
    told = [(name, " ".join(ROUTE.match(comment).groups())) for name, comment in rpcs()]
    tap.equal(sorted(rows), sorted(told))


@tap.case
def the_page_lists_every_code_with_its_statuses():
    with open(f"{SOURCE}/src/core/code.h", encoding="utf-8") as f:
        codes = re.findall(r'X\(\w+, "(\w+)", (\d+), (\d+), (\d+)\)', f.read())
    with open(f"{SOURCE}/docs/wire.md", encoding="utf-8") as f:
        told = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) [A-Z_]+ \| \S", f.read(), re.M)
    tap.equal(told, codes)


def document():
    program = os.path.join(BUILD, "src", "api_openapi_test")
    if not os.path.exists(program):
        raise tap.Skip("the unit tests are not built")
    done = run(program, "document")
    tap.equal(done.returncode, 0)
    return json.loads(done.stdout)


def served():
    """What a server says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen([os.path.join(BUILD, "weft"), "up", "--listen", "127.0.0.1:0"], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                lines = iter(server.stdout.readline, "")
                url = next(m[1] for m in (re.search(r"listening on (http://\S+)", line) for line in lines) if m)
                with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as reply:
                    return json.load(reply)
            finally:
                server.terminate()


def walk(value, seen):
    if isinstance(value, dict):
        if "$ref" in value:
            seen.append(value["$ref"])
        for inner in value.values():
            walk(inner, seen)
    elif isinstance(value, list):
        for inner in value:
            walk(inner, seen)


def check_sound(doc):
    seen, ids = [], []
    walk(doc, seen)
    for reference in seen:
        target = doc
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    for path, item in doc["paths"].items():
        for verb, operation in item.items():
            ids.append(operation["operationId"])
            named = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
            tap.equal(named, set(re.findall(r"{(\w+)}", path)), f"{verb} {path}")
    tap.equal(len(ids), len(set(ids)), "ids of operations")


@tap.case
def the_openapi_document_is_sound():
    check_sound(document())
    check_sound(served())


def validator():
    """validate-api of npm's @seriousme/openapi-schema-validator, or python's openapi-spec-validator;
    Debian 12 has a package of neither, so that it is no dependency of the tests."""
    for folder in (f"{SOURCE}/test/node_modules/.bin", *os.environ["PATH"].split(os.pathsep)):
        for name in ("validate-api", "openapi-spec-validator"):
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
    raise tap.Skip("neither validate-api nor openapi-spec-validator is installed")


@tap.case
def a_public_validator_takes_the_openapi_document():
    program = validator()
    for doc in (document(), served()):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "openapi.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(doc, f)
            done = run(program, path)
            tap.equal(done.returncode, 0, done.stdout + done.stderr)


tap.main()
