"""Hosts of their own for the nodes of a cluster: network namespaces on one bridge, and the cables between them that can be cut.

All of it lies in namespaces that are made here: the bridge, and the host that the tests and clients are on while the network is
entered. Nothing leaves this machine, and nothing is left of it.
"""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
# An address of a network card that nobody has.
NOBODY = "02:00:00:00:00:fe"


def ip(*words):
    p = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert p.returncode == 0, f"ip {' '.join(words)}: {p.stderr.strip()} (network namespaces need the rights of root)"


def enter(path):
    """Puts this thread, and what it starts from now on, into a network namespace."""
    fd = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)


class Network:
    """Hosts 1 to N. `hosts` has their addresses, `within` the words that start a command there, both by number."""

    def __init__(self, n):
        self.name = f"ottla{os.getpid()}"
        self.n = n
        self.hosts = {i: f"10.77.0.{i}" for i in range(1, n + 1)}
        self.within = {i: ("ip", "netns", "exec", f"{self.name}-{i}") for i in self.hosts}

    def at(self, i, *words):
        ip("-n", f"{self.name}-{i}", *words)

    def hub(self, *words):
        ip("-n", f"{self.name}-hub", *words)

    def __enter__(self):
        # "ip netns exec" gives its command the process id that it was started with.
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            ip("netns", "add", f"{self.name}-hub")
            self.hub("link", "set", "lo", "up")
            self.hub("link", "add", "bridge", "type", "bridge")
            self.hub("addr", "add", "10.77.0.254/24", "dev", "bridge")
            self.hub("link", "set", "bridge", "up")
            for i, host in self.hosts.items():
                ip("netns", "add", f"{self.name}-{i}")
                self.hub("link", "add", f"to{i}", "type", "veth", "peer", "name", "cable", "netns", f"{self.name}-{i}")
                self.hub("link", "set", f"to{i}", "master", "bridge", "up")
                self.at(i, "link", "set", "lo", "up")
                self.at(i, "link", "set", "cable", "address", f"02:00:00:00:00:{i:02x}", "up")
                self.at(i, "addr", "add", f"{host}/24", "dev", "cable")
            enter(f"/run/netns/{self.name}-hub")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        enter(f"/proc/self/fd/{self.home}")
        os.close(self.home)
        for name in ["hub", *self.hosts]:
            subprocess.run(["ip", "netns", "del", f"{self.name}-{name}"], capture_output=True)

    def unplug(self, i):
        """Whatever host i sends, and whatever is sent to it, is lost without a word."""
        self.hub("link", "set", f"to{i}", "nomaster")

    def plug(self, i):
        self.hub("link", "set", f"to{i}", "master", "bridge")

    def cut(self, a, b):
        """Whatever hosts a and b send to each other is lost; the others hear both."""
        for one, other in ((a, b), (b, a)):
            self.at(one, "neigh", "replace", self.hosts[other], "lladdr", NOBODY, "dev", "cable", "nud", "permanent")

    def mend(self, a, b):
        for one, other in ((a, b), (b, a)):
            self.at(one, "neigh", "del", self.hosts[other], "dev", "cable")
