"""Counts what a suite saw: `ok NAME` and `not ok NAME: why`, and at the end `N passed, N failed, N skipped`."""
import subprocess
import sys
import time
import traceback

passed, failed = 0, 0


def report(ok, name, why=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok {name}", flush=True)
    else:
        failed += 1
        print(f"not ok {name}: {why}", flush=True)


def run(name, test, *args, **kw):
    """Runs one test; an exception is its failure."""
    begun = time.time()
    try:
        test(*args, **kw)
        report(True, f"{name} ({(time.time() - begun) * 1000:.0f} ms)")
    except Exception as e:  # any failure is the test's, and the next one still runs
        at = traceback.extract_tb(e.__traceback__)[-1]
        report(False, name, f"{type(e).__name__}: {str(e)[:1500]} ({at.filename.rsplit('/', 1)[-1]}:{at.lineno})")


def program(name, command, timeout=600, expect=1, **kw):
    """Runs a program that prints `ok ..`/`not ok ..` lines itself, and counts them. Fewer than `expect` lines is a failure."""
    global passed, failed
    before = passed + failed
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        report(False, name, f"not done after {timeout} s")
    for line in out.splitlines():
        if line.startswith(("ok ", "not ok ")):
            print(line, flush=True)
            if line.startswith("ok "):
                passed += 1
            else:
                failed += 1
    seen = passed + failed - before
    if seen < expect:
        report(False, name, f"{seen} results of at least {expect}, exit {p.returncode}: {err.strip()[-800:]}")


def finish():
    print(f"{passed} passed, {failed} failed, 0 skipped", flush=True)
    sys.exit(1 if failed else 0)
