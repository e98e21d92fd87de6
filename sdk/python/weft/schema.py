# SPDX-License-Identifier: Apache-2.0
"""The messages that a runner and the server exchange, made from the API's own .proto files.

They are written in a regular hand, a field a line, which is all that is read here; so nothing is
generated and no compiler is needed. What the service says stands in proto/weft/v1/runner.proto.
"""
import os
import re

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2

FILES = ("common", "runner")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "proto", "weft", "v1")
PACKAGE = "weft.v1"
SERVICE = f"/{PACKAGE}.Runner/"

_MESSAGE = re.compile(r"^message (\w+) \{(.*?)\}", re.M | re.S)
_FIELD = re.compile(r"(optional|repeated) ([\w.]+) (\w+) = (\d+)([^;]*);")
_Field = descriptor_pb2.FieldDescriptorProto
_PLAIN = {name: getattr(_Field, f"TYPE_{name.upper()}")
          for name in ("bool", "bytes", "double", "int32", "int64", "string")}


def _field(told):
    label, kind, name, number, _ = told
    field = _Field(name=name, number=int(number), label=getattr(_Field, f"LABEL_{label.upper()}"))
    if kind in _PLAIN:
        field.type = _PLAIN[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{kind}" if "." in kind else f".{PACKAGE}.{kind}"
    return field


def _read():
    # proto2 is the same on the wire, and tells what is set.
    file = descriptor_pb2.FileDescriptorProto(
        name="weft/runner.proto", package=PACKAGE, syntax="proto2",
        dependency=[duration_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name])
    for name in FILES:
        with open(os.path.join(FOLDER, f"{name}.proto"), encoding="utf-8") as f:
            text = re.sub(r"//.*", "", f.read())
        for message, body in _MESSAGE.findall(text):
            file.message_type.add(name=message, field=[_field(f) for f in _FIELD.findall(body)])
    return file


def _classes():
    # A pool of its own: a program may have compiled the same files by itself.
    pool = descriptor_pool.DescriptorPool()
    for own in (duration_pb2, timestamp_pb2):
        pool.AddSerializedFile(own.DESCRIPTOR.serialized_pb)
    file = _read()
    pool.AddSerializedFile(file.SerializeToString())
    made = getattr(message_factory, "GetMessageClass", None)  # of newer libraries
    made = made or message_factory.MessageFactory(pool).GetPrototype
    return {m.name: made(pool.FindMessageTypeByName(f"{PACKAGE}.{m.name}")) for m in file.message_type}


_CLASSES = _classes()
CancelStageRequest = _CLASSES["CancelStageRequest"]
Empty = _CLASSES["Empty"]
PingReply = _CLASSES["PingReply"]
PingRequest = _CLASSES["PingRequest"]
RunAsyncReply = _CLASSES["RunAsyncReply"]
RunStageRequest = _CLASSES["RunStageRequest"]
StageReport = _CLASSES["StageReport"]
