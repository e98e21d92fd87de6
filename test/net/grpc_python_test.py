#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gRPC with Python's grpcio, its code made from our .proto files: what any user of Python would do."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake  # noqa: E402
import tap  # noqa: E402

try:
    import grpc
    from google.protobuf import descriptor_pb2
except ImportError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)

SOURCE = os.environ["WEFT_SOURCE"]
SECONDS_MAX = 30  # for what should take a moment

scratch = tempfile.TemporaryDirectory(prefix="weft-grpc-")


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
from weft.v1 import queue_pb2, run_pb2  # noqa: E402


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


@tap.case
def unary_calls_alone_and_together():
    with fake.Server() as s, Client(s.address) as c:
        tap.equal(c.get("mail").name, "mail")
        calls = [c.get_later(f"q{i}") for i in range(500)]
        tap.equal([f.result().name for f in calls], [f"q{i}" for i in range(500)])


@tap.case
def metadata_comes_along():
    with fake.Server() as s, Client(s.address) as c:
        tasks = [queue_pb2.NewTask(payload="{}") for _ in range(3)]
        reply = c.queues.Enqueue(queue_pb2.EnqueueRequest(queue="mail", tasks=tasks),
                                 metadata=[("idempotency-key", "key-1"), ("x-other", "y")])
        tap.equal(list(reply.ids), ["1", "2", "3"])
        tap.equal(s.status()["key"], "key-1")


@tap.case
def errors_have_code_message_and_hint():
    with fake.Server() as s, Client(s.address) as c:
        e = refused(lambda: c.get("fail"), grpc.StatusCode.RESOURCE_EXHAUSTED)
        tap.equal(e.details(), "50 % is too much: größer")
        tap.equal(trailer(e, "weft-code"), "queue_full")
        e = refused(lambda: c.get("invalid"), grpc.StatusCode.INVALID_ARGUMENT)
        tap.contains(e.details(), "\n3:4: the second place")
        other = c.channel.unary_unary("/weft.v1.Queues/Nothing")
        e = refused(lambda: other(b""), grpc.StatusCode.UNIMPLEMENTED)
        tap.equal(trailer(e, "weft-code"), "method_not_found")
        broken = c.channel.unary_unary("/weft.v1.Queues/Get")
        refused(lambda: broken(b"\xff\xff"), grpc.StatusCode.INVALID_ARGUMENT)


@tap.case
def deadlines_end_calls():
    with fake.Server() as s, Client(s.address) as c:
        call = c.get_later("hang", timeout=0.3)
        refused(call.result, grpc.StatusCode.DEADLINE_EXCEEDED)
        wait_for(lambda: s.status()["cancelled"], 1)
        tap.equal(c.get("mail").name, "mail")


@tap.case
def cancelling_reaches_the_server():
    with fake.Server() as s, Client(s.address) as c:
        call = c.get_later("hang")
        wait_for(lambda: s.status()["started"], 1)
        call.cancel()
        wait_for(lambda: s.status()["cancelled"], 1)
        stream = c.runs.Watch(run_pb2.WatchRequest(id="hang", after="10"))
        tap.equal([next(stream).seq for _ in range(10)], [str(i) for i in range(1, 11)])
        stream.cancel()
        wait_for(lambda: s.status()["cancelled"], 2)


@tap.case
def a_vanished_client_is_noticed():
    with fake.Server() as s:
        with Client(s.address) as c:
            call = c.get_later("hang")  # forgotten, it would be cancelled
            wait_for(lambda: s.status()["started"], 1)
        wait_for(lambda: s.status()["cancelled"], 1)
        assert call.done()


@tap.case
def a_slow_reader_gets_20000_messages_in_order():
    with fake.Server() as s, Client(s.address) as c:
        seen = []
        for event in c.runs.Watch(run_pb2.WatchRequest(id="r1", after="20000")):
            seen.append(int(event.seq))
            if len(seen) % 1000 == 0:
                time.sleep(0.01)
        tap.equal(seen, list(range(1, 20001)))


@tap.case
def a_reader_that_stops_stops_the_server():
    with fake.Server() as s, Client(s.address) as c:
        stream = c.runs.Watch(run_pb2.WatchRequest(id="r1", after="100000000"))
        next(stream)
        before = -1
        while (now := s.status()["messages"]) != before:
            before = now
            time.sleep(0.3)
        assert now < 10_000_000, now
        stream.cancel()


@tap.case
def messages_over_the_limit_are_refused():
    with fake.Server() as s, Client(s.address) as c:
        tap.equal(len(c.get("x" * (3 << 20)).name), 3 << 20)
        e = refused(lambda: c.get("x" * (17 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED)
        tap.equal(trailer(e, "weft-code"), "too_large")
        tap.equal(c.get("mail").name, "mail")


@tap.case
def compressed_messages_are_refused():
    with fake.Server() as s, Client(s.address) as c:
        e = refused(lambda: c.get("x" * 10000, compression=grpc.Compression.Gzip), grpc.StatusCode.UNIMPLEMENTED)
        tap.contains(e.details(), "compress")


@tap.case
def draining_lets_calls_end():
    with fake.Server() as s, Client(s.address) as c:
        later = [c.get_later("later") for _ in range(20)]
        stream = c.runs.Watch(run_pb2.WatchRequest(id="hang", after="1"))
        tap.equal(next(stream).seq, "1")
        wait_for(lambda: s.status()["started"], 21)
        tap.equal(s.order("drain"), "draining")
        refused(lambda: next(stream), grpc.StatusCode.UNAVAILABLE)
        refused(lambda: Client(s.address).get("mail"), grpc.StatusCode.UNAVAILABLE)
        tap.equal(s.order("finish"), "finished")
        tap.equal([f.result().name for f in later], ["later"] * 20)
        tap.equal(s.stdout.readline().strip(), "drained")


@tap.case
def health_is_checked_and_watched():
    ask = health_pb2.HealthCheckRequest
    states = health_pb2.HealthCheckResponse
    with fake.Server() as s, Client(s.address) as c:
        tap.equal(c.health.Check(ask()).status, states.SERVING)
        tap.equal(c.health.Check(ask(service="weft.v1.Queues")).status, states.SERVING)
        refused(lambda: c.health.Check(ask(service="nobody")), grpc.StatusCode.NOT_FOUND)
        watch = c.health.Watch(ask())
        tap.equal(next(watch).status, states.SERVING)
        s.order("health off")
        tap.equal(next(watch).status, states.NOT_SERVING)
        s.order("health on")
        tap.equal(next(watch).status, states.SERVING)
        tap.equal(next(c.health.Watch(ask(service="nobody"))).status, states.SERVICE_UNKNOWN)
        watch.cancel()


@tap.case
def reflection_describes_the_api():
    ask = reflection_pb2.ServerReflectionRequest
    with fake.Server() as s, Client(s.address) as c:
        questions = [ask(list_services=""), ask(file_containing_symbol="weft.v1.Queues"), ask(file_by_filename="x")]
        names, files, wrong = c.reflection.ServerReflectionInfo(iter(questions))
        names = [service.name for service in names.list_services_response.service]
        for name in ("weft.v1.Queues", "weft.v1.Runs", "grpc.health.v1.Health"):
            tap.contains(names, name)
        tap.equal(wrong.error_response.error_code, 5)
        found = [descriptor_pb2.FileDescriptorProto.FromString(f)
                 for f in files.file_descriptor_response.file_descriptor_proto]
        tap.equal(found[0].name, "weft/v1/queue.proto")
        assert {i for f in found for i in f.dependency} <= {f.name for f in found}


@tap.case
def keep_alive_pings_are_answered():
    options = [("grpc.keepalive_time_ms", 200), ("grpc.keepalive_timeout_ms", 5000),
               ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]
    with fake.Server() as s, Client(s.address, options=options) as c:
        call = c.get_later("later")
        wait_for(lambda: s.status()["started"], 1)
        time.sleep(1.5)  # some pings
        s.order("finish")
        tap.equal(call.result().name, "later")


@tap.case
def many_connections_come_and_go():
    with fake.Server() as s:
        def some(i):
            options = [("grpc.use_local_subchannel_pool", 1)]
            with Client(s.address, options=options) as c:
                tap.equal(c.get(f"q{i}").name, f"q{i}")
        threads = [threading.Thread(target=some, args=(i,)) for i in range(40)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        tap.equal(s.status()["done"], 40)


def certificates():
    return fake.Certificates(os.path.join(scratch.name, "certs"))


@tap.case
def tls_carries_everything():
    certs = certificates()
    with fake.Server(certs) as s:
        trusted = grpc.ssl_channel_credentials(certs.bytes("ca.pem"))
        with Client(s.address, trusted) as c:
            tap.equal(c.get("mail").name, "mail")
            tap.equal(len(c.get("x" * (3 << 20)).name), 3 << 20)
            tap.equal(len(list(c.runs.Watch(run_pb2.WatchRequest(id="r1", after="20000")))), 20000)
            refused(lambda: c.get("fail"), grpc.StatusCode.RESOURCE_EXHAUSTED)
        with Client(s.address) as plain:
            refused(lambda: plain.get("mail"), grpc.StatusCode.UNAVAILABLE)
        with Client(s.address, grpc.ssl_channel_credentials(certs.bytes("client.pem"))) as stranger:
            refused(lambda: stranger.get("mail"), grpc.StatusCode.UNAVAILABLE)


@tap.case
def mutual_tls_wants_a_certificate():
    certs = certificates()
    with fake.Server(certs, mutual=True) as s:
        known = grpc.ssl_channel_credentials(certs.bytes("ca.pem"), certs.bytes("client.key"), certs.bytes("client.pem"))
        with Client(s.address, known) as c:
            tap.equal(c.get("mail").name, "mail")
        with Client(s.address, grpc.ssl_channel_credentials(certs.bytes("ca.pem"))) as unknown:
            refused(lambda: unknown.get("mail"), grpc.StatusCode.UNAVAILABLE)


@tap.case
def certificates_are_read_again():
    certs = certificates()
    old = certs.bytes("ca.pem")
    own_pool = [("grpc.use_local_subchannel_pool", 1)]
    with fake.Server(certs) as s:
        with Client(s.address, grpc.ssl_channel_credentials(old), own_pool) as before:
            tap.equal(before.get("mail").name, "mail")
            certs = certificates()  # another authority
            tap.equal(s.order("reload"), "reloaded")
            tap.equal(before.get("mail").name, "mail")
            with Client(s.address, grpc.ssl_channel_credentials(certs.bytes("ca.pem")), own_pool) as after:
                tap.equal(after.get("mail").name, "mail")
            with Client(s.address, grpc.ssl_channel_credentials(old), own_pool) as late:
                refused(lambda: late.get("mail"), grpc.StatusCode.UNAVAILABLE)
            with open(certs.file("server.pem"), "w", encoding="utf-8") as f:
                f.write("nothing")
            tap.contains(s.order("reload"), "refused the certificate")
            with Client(s.address, grpc.ssl_channel_credentials(certs.bytes("ca.pem")), own_pool) as still:
                tap.equal(still.get("mail").name, "mail")


try:
    tap.main()
finally:
    scratch.cleanup()
