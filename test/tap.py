# SPDX-License-Identifier: Apache-2.0
"""Test scripts: functions as cases, printed as TAP.

    import tap

    @tap.case
    def a_failed_task_fails_its_run():
        tap.equal(run("workflow.yaml").returncode, 1)

    tap.main()

A case fails by any exception and is skipped by tap.Skip("why"). Arguments of the script name the
cases to run; without arguments all run, in the order of the file.
"""
import signal
import sys
import traceback

cases = []


class Skip(Exception):
    """This machine cannot show it; the text says what is missing."""


def case(function):
    cases.append(function)
    return function


def equal(found, wanted, what=""):
    """Fail with both values in sight."""
    if found != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}found {found!r}, wanted {wanted!r}")


def contains(text, part, what=""):
    if part not in text:
        raise AssertionError(f"{what + ': ' if what else ''}{part!r} is not in {text!r}")


def main():
    chosen = [c for c in cases if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    failed = False
    print(f"1..{len(chosen)}", flush=True)
    # As Ctrl-C does, so that whatever a case has started is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for number, run in enumerate(chosen, 1):
        try:
            run()
            result = f"ok {number} {run.__name__}"
        except Skip as e:
            result = f"ok {number} {run.__name__} # SKIP {e}"
        except Exception:
            failed = True
            print("".join(f"# {l}\n" for l in traceback.format_exc().splitlines()), end="")
            result = f"not ok {number} {run.__name__}"
        print(result, flush=True)
    sys.exit(1 if failed else 0)
