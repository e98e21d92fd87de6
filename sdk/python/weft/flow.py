# SPDX-License-Identifier: Apache-2.0
"""The flow template: claim a batch, process each record, tell how it went."""
from weft.errors import Refused, WeftError

ERRORS_MAX = 10
BATCH_MAX = 10000


class Unhealthy(Refused):
    """The server is not well enough to begin."""

    def __init__(self, reason):
        super().__init__("unhealthy", f"the server is unhealthy: {reason}", 503)


def _empty(queue, worker, batch):
    return {
        "queue": queue,
        "batch": batch,
        "worker": worker,
        "claimed": 0,
        "processed": 0,
        "succeeded": 0,
        "failed": 0,
        "success_rate_percent": 0.0,
        "errors": [],
        "error_count": 0,
    }


def _fail(lease, text, code):
    """A lease that is lost is nobody's to fail, and the other records go on."""
    try:
        if not lease.ended:
            lease.fail(text, code=code)
    except WeftError:
        pass


def run_flow(worker, queue, process, batch=100):
    """Process one batch of a queue and give a summary. `process(payload)` returns the result of one
    record; what it raises fails that record and no other."""
    if not isinstance(queue, str) or not queue.strip():
        raise ValueError("the name of a queue is a text that is not blank")
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= BATCH_MAX:
        raise ValueError(f"batch is a whole number from 1 to {BATCH_MAX}")
    health = worker.client.health()
    if health.get("health") == "unhealthy":
        raise Unhealthy(health.get("reason", "no reason was given"))
    summary = _empty(queue, worker.name, batch)
    leases = worker.claim(queue, batch)
    summary["claimed"] = len(leases)
    if not leases:
        summary["message"] = "No records to process"
        return summary
    for lease in leases:
        summary["processed"] += 1
        try:
            lease.complete(process(lease.payload))
            summary["succeeded"] += 1
        except Exception as error:  # pylint: disable=broad-except
            text = str(error) or type(error).__name__
            _fail(lease, text, type(error).__name__)
            summary["failed"] += 1
            summary["error_count"] += 1
            if len(summary["errors"]) < ERRORS_MAX:
                summary["errors"].append({"id": lease.id, "error": text})
    summary["success_rate_percent"] = round(100 * summary["succeeded"] / summary["processed"], 2)
    worker.drain()
    return summary
