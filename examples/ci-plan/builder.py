#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner that compiles.

    builder.py SERVER
"""
import glob
import os
import subprocess
import sys

import weft

WARNINGS = ["-Wall", "-Wextra", "-Wshadow"]
runner = weft.Runner(weft.Client(sys.argv[1]), name="builder", slots=2)


def flags(what, *names):
    return subprocess.run(["pkg-config", f"--{what}", *names], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split()


def sources(source, *layers):
    """The library's own files: no tests, and no helpers of tests."""
    return sorted(f for layer in layers for f in glob.glob(f"{source}/src/{layer}/*.c")
                  if not f.endswith(("_test.c", "_testing.c")))


@runner.stage("build", mode="sync")
def build(ctx):
    args = ctx.args
    os.makedirs(args["out"], exist_ok=True)
    common = [args["compiler"], "-std=gnu17", "-D_GNU_SOURCE", "-g", *WARNINGS,
              f"-fsanitize={args['sanitizer']}", f"-I{args['source']}/src",
              *flags("cflags", "yaml-0.1", "jansson", "cmocka", "libsodium")]
    library = sources(args["source"], "base", "core")
    said = []
    for n, test in enumerate(args["tests"]):
        if ctx.cancelled.is_set():
            raise weft.Failed("cancelled")
        name = os.path.basename(test)[:-2]
        objects = [] if n else library  # the library's objects are made with the first
        done = compile_one(common, args, objects, test, name)
        said.append(done.stderr)
        if done.returncode:
            ctx.check("builds", finalize=False,
                      failure={"code": "compiler", "message": f"{ctx.name}: {name}"})
            raise weft.Failed(done.stderr[-2000:], code="compiler", final=True)
        ctx.progress(100 * (n + 1) // len(args["tests"]), name)
    warnings = "".join(said).count("warning:")
    ctx.check("builds", finalize=False, data={"config": ctx.name, "programs": len(args["tests"])})
    ctx.check("no warnings", finalize=False, data={"config": ctx.name, "warnings": warnings},
              failure={"code": "warnings", "message": f"{ctx.name}: {warnings}"} if warnings else None)
    return {"programs": len(args["tests"]), "warnings": warnings}


def compile_one(common, args, library, test, name):
    archive = os.path.join(args["out"], "library.a")
    said = ""
    if library:
        done = subprocess.run([*common, "-c", *library], cwd=args["out"], text=True,
                              stderr=subprocess.PIPE, check=False)
        said = done.stderr
        if done.returncode:
            return done
        objects = sorted(glob.glob(os.path.join(args["out"], "*.o")))
        subprocess.run(["ar", "rcs", archive, *objects], check=True)
    done = subprocess.run([*common, os.path.join(args["source"], test), archive, "-o", name,
                           *flags("libs", "yaml-0.1", "jansson", "libsodium", "cmocka"), "-lm", "-lpthread"],
                          cwd=args["out"], text=True, stderr=subprocess.PIPE, check=False)
    done.stderr = said + done.stderr
    return done


runner.serve()
