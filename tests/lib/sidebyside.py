"""Apache Kafka and Ottla in turn on the same machine: a bench measures one of them, and this runs it for both and prints the ratios."""
import os
import statistics
import subprocess
import sys

BOTH = ("kafka", "ottla")


def main(script, measure, args=(), rounds=5, env=lambda broker: {}):
    """Runs a bench so often for each broker, in turn, and prints the medians. `measure(*args)` prints a figure a line: its name, a tab, and the number;
    it runs in a process of its own, where BROKER says which broker. Whoever starts the bench with BROKER set has one measured only."""
    if os.environ.get("BENCH_ONE"):
        return measure(*args)
    only, table = os.environ.get("BROKER"), {}
    for _ in range(rounds):
        for broker in [only] if only else BOTH:
            around = {**os.environ, "BROKER": broker, "BENCH_ONE": "1", **env(broker)}
            out = subprocess.run([script, *sys.argv[1:]], env=around, stdout=subprocess.PIPE, text=True, check=True).stdout
            for line in out.splitlines():
                # At once, too: a round that fails later must not take the figures of those before it.
                print(f"{broker}\t{line}", file=sys.stderr, flush=True)
                name, value = line.split("\t")
                table.setdefault(name, {}).setdefault(broker, []).append(float(value))
    told = " ".join([*map(str, args), f"medians of {rounds}"])
    print(f"{told:56}{'Kafka':>12}{'Ottla':>12}{'ratio':>9}")
    for name, row in table.items():
        kafka, ottla = (statistics.median(row.get(broker, [float("nan")])) for broker in BOTH)
        print(f"{name:56}{kafka:12.3f}{ottla:12.3f}{ottla / kafka if kafka else float('nan'):9.3f}")
