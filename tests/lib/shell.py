"""Kafka's own command line tools, many commands in one process."""
import collections
import pathlib
import re
import select
import subprocess

from broker import kafka_home

Answer = collections.namedtuple("Answer", "returncode stdout stderr")


class Shell:
    """Use as `with Shell() as sh: sh("kafka-topics", "--bootstrap-server", ..)`."""

    def __init__(self):
        home = kafka_home()
        self.classes = {}
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={home}/config/log4j2.yaml", "-cp", f"{home}/libs/*",
             str(pathlib.Path(__file__).parent / "java/Tools.java")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __call__(self, name, *args, check=False, timeout=120):
        """Runs one tool; the answer has returncode, stdout and stderr, as text."""
        if name not in self.classes:
            script = (kafka_home() / "bin" / f"{name}.sh").read_text()
            self.classes[name] = re.search(r'(\S+) "\$@"\s*$', script)[1]
        self.process.stdin.write(("\x1f".join([self.classes[name], *map(str, args)]) + "\n").encode())
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.process.kill()
            raise AssertionError(f"{name} {' '.join(map(str, args))}: no answer within {timeout} s")
        code, out, err = map(int, self.process.stdout.readline().split())
        answer = Answer(code, self.process.stdout.read(out).decode(), self.process.stdout.read(err).decode())
        if check and code:
            raise AssertionError(f"{name} {' '.join(map(str, args))}: exit {code}: {(answer.stdout + answer.stderr)[-1200:]}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
