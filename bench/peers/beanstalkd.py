#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""beanstalkd with `-b FOLDER -f0`, which is what durable means: what measure.mjs asks of the others.

    beanstalkd.py HOST:PORT [quick]
"""
import asyncio
import json
import sys
import time

HOST, PORT = sys.argv[1].split(":")
QUICK = len(sys.argv) > 2
CALLERS, SINGLES, BULK, LATENCY = 64, 3000 if QUICK else 20000, 20000 if QUICK else 100000, 100 if QUICK else 500
BODY = json.dumps({"to": "x" * 80}).encode()
PUT = b"put 0 0 60 %d\r\n%s\r\n" % (len(BODY), BODY)


async def single(count):
    """Callers with a connection each, one task at a time."""
    left = count

    async def caller():
        nonlocal left
        reader, writer = await asyncio.open_connection(HOST, int(PORT))
        while left > 0:
            left -= 1
            writer.write(PUT)
            await reader.readline()
        writer.close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def bulk(count):
    """It has no batches: a thousand requests are sent before their answers are read."""
    reader, writer = await asyncio.open_connection(HOST, int(PORT))
    for _ in range(count // 1000):
        writer.write(PUT * 1000)
        for _ in range(1000):
            await reader.readline()
    writer.close()


async def reserve(reader, writer, n):
    writer.write(b"reserve\r\n" * n)
    jobs = []
    for _ in range(n):
        _, job, size = (await reader.readline()).split()
        jobs.append((job, (await reader.readexactly(int(size) + 2))[:-2]))
    return jobs


async def delete(reader, writer, jobs):
    writer.write(b"".join(b"delete %s\r\n" % job for job, _ in jobs))
    for _ in jobs:
        await reader.readline()


async def drain(count):
    async def worker(share):
        reader, writer = await asyncio.open_connection(HOST, int(PORT))
        while share > 0:
            await delete(reader, writer, await reserve(reader, writer, min(share, 100)))
            share -= 100
        writer.close()

    await asyncio.gather(*(worker(count // 4) for _ in range(4)))


async def latency(count):
    waits = []

    async def listen():
        reader, writer = await asyncio.open_connection(HOST, int(PORT))
        while len(waits) < count:
            jobs = await reserve(reader, writer, 1)
            waits.append((time.monotonic() - float(jobs[0][1])) * 1000)
            await delete(reader, writer, jobs)
        writer.close()

    listener = asyncio.create_task(listen())
    reader, writer = await asyncio.open_connection(HOST, int(PORT))
    for _ in range(count):
        body = b"%.6f" % time.monotonic()
        writer.write(b"put 0 0 60 %d\r\n%s\r\n" % (len(body), body))
        await reader.readline()
        await asyncio.sleep(0.02)
    await listener
    return sorted(waits)


async def timed(work):
    begun = time.monotonic()
    await work
    return time.monotonic() - begun


async def main():
    singles = await timed(single(SINGLES))
    many = await timed(bulk(BULK))
    drained = await timed(drain(SINGLES + BULK))
    waits = await latency(LATENCY)
    print(json.dumps({
        "single_per_s": SINGLES / singles, "bulk_per_s": BULK / many,
        "drain_per_s": (SINGLES + BULK) / drained,
        "start_p50_ms": waits[len(waits) // 2], "start_p99_ms": waits[int(0.99 * (len(waits) - 1))],
    }))


asyncio.run(main())
