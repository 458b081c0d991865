"""Kafka's tools for groups of both protocols, with members and without: what they print is in golden/groups/tools.txt, a part a story."""
import re

import wire
from broker import until
from members import Members
from shell import Shell
from tools import steady

TOPICS = ("ga", "gb")
# What to do, and with which tool; {name} is the id of a member. Groups: `new` and `old` have members of the two protocols, `idle` has offsets alone.
COMMANDS = """
kafka-consumer-groups --list
kafka-consumer-groups --list --type
kafka-consumer-groups --list --type consumer
kafka-consumer-groups --list --type classic --state
kafka-consumer-groups --list --state Stable
kafka-consumer-groups --list --state Stable,Empty --type consumer,classic
kafka-consumer-groups --list --state nonsense
kafka-consumer-groups --list --type nonsense
kafka-groups --list
kafka-groups --list --consumer
kafka-groups --list --group-type consumer
kafka-groups --list --group-type classic
kafka-groups --list --protocol consumer
kafka-groups --list --share
kafka-consumer-groups --describe --group new
kafka-consumer-groups --describe --group new --offsets
kafka-consumer-groups --describe --group new --offsets --verbose
kafka-consumer-groups --describe --group new --members
kafka-consumer-groups --describe --group new --members --verbose
kafka-consumer-groups --describe --group new --state
kafka-consumer-groups --describe --group new --state --verbose
kafka-consumer-groups --describe --group old --offsets --verbose
kafka-consumer-groups --describe --group old --members --verbose
kafka-consumer-groups --describe --group old --state --verbose
kafka-consumer-groups --describe --group idle
kafka-consumer-groups --describe --group idle --members --verbose
kafka-consumer-groups --describe --group idle --state --verbose
kafka-consumer-groups --describe --group new --group idle
kafka-consumer-groups --describe --all-groups --state
kafka-consumer-groups --describe --all-groups --members
kafka-consumer-groups --describe --group nobody --verbose
kafka-consumer-groups --describe --group new --members --state
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga --execute
kafka-consumer-groups --group old --reset-offsets --to-earliest --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga --dry-run
kafka-consumer-groups --group new --delete
kafka-consumer-groups --group new --group idle --group nobody --delete
kafka-consumer-groups --group new --delete-offsets --topic ga
kafka-consumer-groups --group new --delete-offsets --topic gb
kafka-consumer-groups --group nobody --delete-offsets --topic ga
kafka-configs --alter --entity-type groups --entity-name new --add-config consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=6000
kafka-configs --describe --entity-type groups --entity-name new
kafka-configs --describe --entity-type groups --entity-name new --all
kafka-configs --describe --entity-type groups
kafka-configs --alter --entity-type groups --entity-name new --add-config consumer.session.timeout.ms=1
kafka-configs --alter --entity-type groups --entity-name new --add-config consumer.nonsense=1
kafka-configs --alter --entity-type groups --entity-name new --delete-config consumer.session.timeout.ms,consumer.heartbeat.interval.ms
kafka-configs --describe --group new
"""
# When all members have left.
AFTER = """
kafka-consumer-groups --list --state
kafka-groups --list
kafka-consumer-groups --describe --group new
kafka-consumer-groups --describe --group new --state --verbose
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga --dry-run
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-latest --topic ga:0,1 --execute
kafka-consumer-groups --group new --reset-offsets --to-offset 3 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-offset 100 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --shift-by -2 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --shift-by 4 --topic ga:3 --execute
kafka-consumer-groups --group new --reset-offsets --shift-by 100 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-current --all-topics --export --dry-run
kafka-consumer-groups --group new --reset-offsets --to-current --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-datetime 2001-01-01T00:00:00.000 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --to-datetime 2101-01-01T00:00:00.000 --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --by-duration P1D --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --by-duration nonsense --topic ga --execute
kafka-consumer-groups --group new --reset-offsets --from-file {csv} --execute
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic absent --execute
kafka-consumer-groups --group new --reset-offsets --to-earliest --topic ga:9 --execute
kafka-consumer-groups --group new --reset-offsets --to-earliest --execute
kafka-consumer-groups --group fresh --reset-offsets --to-latest --topic gb --execute
kafka-consumer-groups --all-groups --reset-offsets --to-earliest --all-topics --execute
kafka-consumer-groups --describe --all-groups
kafka-consumer-groups --group new --delete-offsets --topic ga:0,1
kafka-consumer-groups --describe --group new
kafka-consumer-groups --validate-regex g[ab]
kafka-consumer-groups --validate-regex (g
kafka-consumer-groups --group new --group old --delete
kafka-consumer-groups --all-groups --delete
kafka-consumer-groups --list
kafka-groups --list
kafka-console-consumer --topic gb --group printed --from-beginning --max-messages 6 --timeout-ms 20000 --command-property group.protocol=consumer
kafka-groups --list
kafka-console-consumer --include g. --group printed --max-messages 40 --timeout-ms 20000 --command-property group.protocol=consumer --from-beginning
kafka-console-consumer --topic gb --group refused --max-messages 1 --timeout-ms 20000 --command-property group.protocol=consumer --command-property group.remote.assignor=nope
"""


def sorted_rows(text):
    """Rows of tables come in no order."""
    blocks = re.split(r"\n\n", text)
    rows = lambda block: "\n".join(sorted(block.split("\n"), key=lambda line: (not re.match(r"GROUP +|exit |\$ ", line), line)))
    return "\n\n".join(rows(block) for block in blocks)


def transcript(sh, b, commands, ids, **values):
    """Each command, its exit code and what it printed."""
    told = []
    for line in commands.strip().splitlines():
        program, *args = line.split()
        p = sh(program, "--bootstrap-server", b.bootstrap, *(arg.format(**values) if "{" in arg else arg for arg in args))
        text = f"exit {p.returncode}\n{p.stdout}\n--- stderr\n{p.stderr}"
        for name, member in ids.items():
            text = text.replace(member, f"ID-{name}".ljust(len(member)))
        text = text.replace(b.bootstrap, "BOOTSTRAP".ljust(len(b.bootstrap))).replace(str(b.folder), "FOLDER")
        text = re.sub(rf"\b{b.port}\b", "PORT", text)
        # Not how the tool is used, which it says where it is used wrongly.
        text = re.sub(r"(?m)^(Option|------|--\w|  ).*\n", "", text) if "Option  " in text else text
        text = re.sub(r"(?<=Valid states are: ).*", lambda found: ", ".join(sorted(found[0].split(", "))), text)
        text = re.sub(r"(?<=\S) {2,}", "  ", steady(text))
        told.append(f"$ {line}\n{sorted_rows(text).strip()}\n")
    return "\n".join(told)


def run(b, golden):
    """Holds what the tools print to `golden(name, text)`."""
    csv = b.folder / "offsets.csv"
    csv.write_text("ga,0,1\nga,1,2\nga,2,3\nga,3,4\n")
    with Shell() as sh, Members(b.bootstrap) as m:
        for topic, partitions, records in (("ga", 4, 10), ("gb", 2, 3)):
            sh("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", topic, "--partitions", partitions, check=True)
            fill(b, topic, partitions, records)
        quiet = "enable.auto.commit=false"
        for name, protocol, group, more in (("first", "consumer", "new", "client.rack=here"), ("second", "consumer", "new", "group.instance.id=named"),
                                            ("third", "classic", "old", "heartbeat.interval.ms=200"), ("fourth", "consumer", "idle", "group.remote.assignor=range")):
            m("open", name, protocol, group, "ga", quiet, more)
            # One after the other: who is first keeps the first partitions.
            m("settled", 4, "first,second" if name == "second" else name)
        for names in ("first,second", "third", "fourth"):
            until(f"{names} have read all", lambda: m("read", names)[0] == "40")
            for name in names.split(","):
                m("commit", name)
        ids = {name: m("id", name)[0] for name in ("first", "second", "third")}
        m("close", "fourth")
        golden("tools", transcript(sh, b, COMMANDS, ids))
        for name in ids:
            m("leave", name)
        golden("tools-after", transcript(sh, b, AFTER, ids, csv=csv))


def fill(b, topic, partitions, records):
    """So many records in each partition; a topic that was just made may have no leader yet."""
    for partition in range(partitions):
        for n in range(records):
            until(f"{topic}-{partition} takes records", lambda: wire.produce(b.port, topic, partition, f"{topic}-{partition}-{n}".encode(), 5) == 0)
