# SPDX-License-Identifier: Apache-2.0
"""A gRPC client in Python, for tests: grpcio, with messages made from our .proto files.

Whoever imports it ends with a skip where grpcio or protoc is missing.
"""
import atexit
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

import tap

try:
    import grpc
    from google.protobuf import descriptor_pb2
except ImportError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)

SOURCE = os.environ["WEFT_SOURCE"]
SECONDS_MAX = 30  # for what should take a moment

scratch = tempfile.TemporaryDirectory(prefix="weft-grpc-")
atexit.register(scratch.cleanup)


def compile_protos():
    """Into the scratch folder, from where they are imported. `grpc` is grpcio's own, so that our
    files of that name move to another folder."""
    made, own = os.path.join(scratch.name, "made"), os.path.join(scratch.name, "own")
    os.makedirs(made)
    shutil.copytree(os.path.join(SOURCE, "src/net/proto/grpc"), os.path.join(own, "of_grpc"))
    shutil.copytree(os.path.join(SOURCE, "proto/weft"), os.path.join(own, "weft"))
    files = glob.glob("**/*.proto", root_dir=own, recursive=True)
    subprocess.run(["protoc", f"-I{own}", f"--python_out={made}", *files], check=True)
    sys.path.insert(0, made)


compile_protos()
from of_grpc.health.v1 import health_pb2  # noqa: E402
from of_grpc.reflection.v1 import reflection_pb2  # noqa: E402
from weft.v1 import lease_pb2, queue_pb2, run_pb2, task_pb2, worker_pb2  # noqa: E402


class Stub:
    """The methods of a service, as the compiler's plugin for gRPC would write them."""

    def __init__(self, channel, service):
        for method in service.methods:
            told = descriptor_pb2.MethodDescriptorProto()
            method.CopyToProto(told)
            shape = "_".join("stream" if s else "unary" for s in (told.client_streaming, told.server_streaming))
            call = getattr(channel, shape)(f"/{service.full_name}/{method.name}",
                                           method.input_type._concrete_class.SerializeToString,
                                           method.output_type._concrete_class.FromString)
            setattr(self, method.name, call)


class Client:
    """A channel, and the stubs on it."""

    def __init__(self, address, credentials=None, options=()):
        self.channel = (grpc.secure_channel(address, credentials, options) if credentials
                        else grpc.insecure_channel(address, options))
        self.leases = Stub(self.channel, lease_pb2.DESCRIPTOR.services_by_name["Leases"])
        self.workers = Stub(self.channel, worker_pb2.DESCRIPTOR.services_by_name["Workers"])
        self.queues = Stub(self.channel, queue_pb2.DESCRIPTOR.services_by_name["Queues"])
        self.runs = Stub(self.channel, run_pb2.DESCRIPTOR.services_by_name["Runs"])
        self.health = Stub(self.channel, health_pb2.DESCRIPTOR.services_by_name["Health"])
        self.reflection = Stub(self.channel, reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])

    def get(self, name, **options):
        return self.queues.Get(queue_pb2.QueueRequest(queue=name), timeout=SECONDS_MAX, **options)

    def get_later(self, name, timeout=SECONDS_MAX, **options):
        return self.queues.Get.future(queue_pb2.QueueRequest(queue=name), timeout=timeout, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.channel.close()


def refused(call, code):
    """The error of a call that must have this code."""
    try:
        call()
    except grpc.RpcError as e:
        tap.equal(e.code(), code, e.details())
        return e
    raise AssertionError(f"the call was not refused with {code}")


def trailer(error, name):
    return dict(error.trailing_metadata()).get(name)


def wait_for(what, wanted):
    until = time.monotonic() + SECONDS_MAX
    while (found := what()) != wanted:
        if time.monotonic() > until:
            raise AssertionError(f"it stays {found!r}, and should be {wanted!r}")
        time.sleep(0.01)
