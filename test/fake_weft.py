# SPDX-License-Identifier: Apache-2.0
"""What a runner sees of weft, played: the methods that it calls, and the calls that it gets.

    with FakeWeft() as weft:
        ...                                  start a runner against weft.url
        worker = weft.wait_worker("build")   the worker that it registered, and how to call it
        worker.run(token="1.1", args={})     the report
        weft.wait("complete")                the newest request of that name

The messages are made by protoc from our .proto files, not by the libraries that are tested.
"""
import http.server
import json
import os
import subprocess
import sys
import threading

try:
    import grpc
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS_MAX = 30


def _messages():
    made = subprocess.run(
        ["protoc", f"-I{SOURCE}/proto", "--include_imports", "--descriptor_set_out=/dev/stdout",
         "weft/v1/runner.proto"], cwd=f"{SOURCE}/proto", check=True, stdout=subprocess.PIPE).stdout
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(made).file:
        pool.Add(file)
    service = pool.FindServiceByName("weft.v1.Runner")
    make = message_factory.MessageFactory(pool).GetPrototype
    return {m.name: (make(m.input_type), make(m.output_type)) for m in service.methods}


METHODS = _messages()


class Worker:
    """One that has registered. Its calls are made under its newest incarnation."""

    def __init__(self, told, number):
        self.told = told
        self.id = f"w{number}"
        self.channel = grpc.insecure_channel(told["address"])
        self.use(self.channel)

    def use(self, channel):
        self.calls = {name: channel.unary_unary(f"/weft.v1.Runner/{name}",
                                                kinds[0].SerializeToString, kinds[1].FromString)
                      for name, kinds in METHODS.items()}

    def request(self, token, args=None, checks=(), **fields):
        request = METHODS["Run"][0](token=token, run="r1", task="t1", name="stage", attempt=1,
                                    args=json.dumps(args or {}), type=self.told["type"],
                                    runner=self.told["name"], worker=self.id)
        for name in checks:
            request.checks.add(name=name, kind="question", options='{"deep":true}', goal="FINAL")
        if "deadline" in fields:
            request.deadline.seconds = fields.pop("deadline")
        for name, value in fields.items():
            setattr(request, name, value)
        return request

    def run_later(self, token, timeout=SECONDS_MAX, **fields):
        return self.calls["Run"].future(self.request(token, **fields), timeout=timeout)

    def run(self, token, **fields):
        return self.run_later(token, **fields).result()

    def run_async_later(self, token, timeout=SECONDS_MAX, **fields):
        return self.calls["RunAsync"].future(self.request(token, **fields), timeout=timeout)

    def run_async(self, token, **fields):
        return self.run_async_later(token, **fields).result()

    def cancel(self, token, reason=""):
        return self.calls["Cancel"](METHODS["Cancel"][0](token=token, reason=reason), timeout=SECONDS_MAX)

    def ping(self, worker=None):
        return self.calls["Ping"](METHODS["Ping"][0](worker=worker or self.id), timeout=SECONDS_MAX)


class FakeWeft:
    def __init__(self):
        self.requests = []  # (name, body)
        self.workers = {}  # by type, the newest
        self.stop = []  # tokens, said to every heartbeat
        self.lost = []  # tokens, said to every registration
        self.over = set()  # incarnations that have ended
        self.away = False  # ends are not taken
        self.final = set()  # checks that take no more results
        self.registering = lambda worker: None  # before the answer
        self.refused = set()  # types that may not register
        self.told = threading.Condition()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, reply = fake.answer(self.path, body)
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """It is told in the requests."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a runner that is killed closes as it likes
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        for worker in self.workers.values():
            worker.channel.close()

    def answer(self, path, body):
        who, _, name = path.removeprefix("/v1/").rpartition(":")
        if self.away and name == "complete":
            return 503, {"code": "unavailable", "detail": "it is away"}
        reply = getattr(self, f"_{name}")(who.removeprefix("workers/"), body)
        with self.told:
            self.requests.append((name, body))
            self.told.notify_all()
        return reply

    def _register(self, _, body):
        worker = Worker(body, len(self.of("register")) + 1)
        self.registering(worker)
        if body["type"] in self.refused:
            return 409, {"code": "not_now", "detail": "another time"}
        self.workers[body["type"]] = worker
        lost = [t for t in body["tokens"] if t in self.lost]
        return 200, {"worker": {"id": worker.id, "name": body["name"]}, "lost": lost,
                     "kept": [t for t in body["tokens"] if t not in lost], "heartbeat_every": "0.1s"}

    def _heartbeat(self, worker, _):
        if worker in self.over:
            return 409, {"code": "worker_lost", "detail": f"{worker} is over"}
        return 200, {"state": "READY", "stop": self.stop}

    def _drain(self, worker, _):
        return 200, {"id": worker}

    _deregister = _drain

    def _renew(self, _, body):
        return 200, {"results": [{"code": "OK"} for _ in body["leases"]]}

    def _complete(self, _, body):
        late = [any(c["check"] in self.final for c in item.get("checks", ())) for item in body["results"]]
        return 200, {"results": [{"code": "check_final" if b else "OK"} for b in late]}

    # What was told.

    def of(self, name):
        with self.told:
            return [body for n, body in self.requests if n == name]

    def wait(self, name, count=1):
        """Until there were so many of that name; the last one."""
        with self.told:
            if not self.told.wait_for(lambda: sum(n == name for n, _ in self.requests) >= count,
                                      SECONDS_MAX):
                raise AssertionError(f"no {count} × {name} in {[n for n, _ in self.requests]}")
        return self.of(name)[count - 1]

    def wait_worker(self, kind):
        with self.told:
            if not self.told.wait_for(lambda: kind in self.workers, SECONDS_MAX):
                raise AssertionError(f"nobody registered for {kind}")
        return self.workers[kind]

    def ends(self):
        """{token: its end}, of all that were told."""
        return {item["token"]: item for body in self.of("complete") for item in body["results"]}
