"""Members of groups with Kafka's own Java client, many in one process, which java/Members.java tells of."""
import pathlib
import queue
import subprocess
import threading

from broker import kafka_home


class Members:
    """Use as `with Members(bootstrap) as m: m("open", "a", "consumer", "group", "topic")`."""

    def __init__(self, bootstrap, heap="512m"):
        self.process = subprocess.Popen(
            ["java", f"-Xmx{heap}", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={kafka_home()}/config/log4j2.yaml", "-cp", f"{kafka_home()}/libs/*",
             str(pathlib.Path(__file__).parent / "java/Members.java"), bootstrap],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(line.strip())
        self.answers.put("wrong it ended")

    def __call__(self, *words, timeout=150):
        """Says a command, and returns the words of the answer after the first."""
        self.say(*words)
        return self.hear(timeout)

    def say(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def hear(self, timeout=150):
        try:
            answer = self.answers.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("no answer") from None
        assert not answer.startswith("wrong "), answer
        return answer.split()[1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
