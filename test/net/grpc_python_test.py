#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gRPC with Python's grpcio against a server without a store: what the network has to show."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake  # noqa: E402
import tap  # noqa: E402
from grpc_python import (Client, descriptor_pb2, grpc, health_pb2, queue_pb2, refused, reflection_pb2,  # noqa: E402
                         run_pb2, scratch, trailer, wait_for)


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


tap.main()
