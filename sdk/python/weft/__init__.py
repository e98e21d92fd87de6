# SPDX-License-Identifier: Apache-2.0
"""Client and worker for weft, over HTTP, with the standard library alone; and a runner, which
serves gRPC and needs grpcio for it (weft/runner.py).

    import weft

    client = weft.Client("http://127.0.0.1:7411")
    client.enqueue("mail", [{"to": "ada@example.org"}])

    with client.worker(slots=4) as worker:
        worker.run("mail", lambda lease: send(lease.payload))
"""
from weft.breaker import Breaker
from weft.client import Client, Task, instance_id
from weft.errors import BreakerOpen, Refused, Unavailable, WeftError
from weft.flow import run_flow
from weft.retry import Retry
from weft.runner import Runner
from weft.stage import Failed
from weft.worker import Lease, LeaseLost, Worker

__all__ = [
    "Breaker",
    "BreakerOpen",
    "Client",
    "Failed",
    "Lease",
    "LeaseLost",
    "Refused",
    "Retry",
    "Runner",
    "Task",
    "Unavailable",
    "WeftError",
    "Worker",
    "instance_id",
    "run_flow",
]
__version__ = "0.1.0"
