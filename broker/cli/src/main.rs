//! The binary `ottla`: the broker and every tool.
//!
//! `ottla storage ...` and the same binary called as `kafka-storage.sh` or `kafka-storage` are the same tool. What a
//! name stands for is one row of [`COMMANDS`].

mod argparse;
mod serve;
mod tool;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Something `ottla` can be asked to do.
struct Command {
    /// `ottla NAME`.
    name: &'static str,
    /// The name of Kafka's tool, without `.sh`; the binary called so is this command.
    kafka_name: Option<&'static str>,
    /// One line for the overview.
    about: &'static str,
    /// Runs it with the arguments behind the name.
    run: fn(&[String]) -> ExitCode,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "server",
        kafka_name: Some("kafka-server-start"),
        about: "Run the broker",
        run: serve::run,
    },
    Command {
        name: "storage",
        kafka_name: Some("kafka-storage"),
        about: "Format log directories and look at them",
        run: tool::storage::run,
    },
    Command {
        name: "topics",
        kafka_name: Some("kafka-topics"),
        about: "Make topics, look at them, change and delete them",
        run: tool::topics::run,
    },
    Command {
        name: "console-producer",
        kafka_name: Some("kafka-console-producer"),
        about: "Send the lines of standard input as records",
        run: tool::console_producer::run,
    },
    Command {
        name: "console-consumer",
        kafka_name: Some("kafka-console-consumer"),
        about: "Print the records of topics",
        run: tool::console_consumer::run,
    },
    Command {
        name: "configs",
        kafka_name: Some("kafka-configs"),
        about: "Look at configurations, quotas and credentials, and change them",
        run: tool::configs::run,
    },
    Command {
        name: "cluster",
        kafka_name: Some("kafka-cluster"),
        about: "Show the cluster's id and nodes, and forget brokers that are gone",
        run: tool::cluster_tool::run,
    },
    Command {
        name: "features",
        kafka_name: Some("kafka-features"),
        about: "Show the levels of features, and change them",
        run: tool::features::run,
    },
    Command {
        name: "metadata-quorum",
        kafka_name: Some("kafka-metadata-quorum"),
        about: "Show the metadata quorum, and change its voters",
        run: tool::metadata_quorum::run,
    },
    Command {
        name: "leader-election",
        kafka_name: Some("kafka-leader-election"),
        about: "Have leaders of partitions elected",
        run: tool::leader_election::run,
    },
    Command {
        name: "reassign-partitions",
        kafka_name: Some("kafka-reassign-partitions"),
        about: "Move replicas between brokers and log directories",
        run: tool::reassign_partitions::run,
    },
    Command {
        name: "log-dirs",
        kafka_name: Some("kafka-log-dirs"),
        about: "Show the log directories of brokers",
        run: tool::log_dirs::run,
    },
    Command {
        name: "restart-safety",
        kafka_name: None,
        about: "Say whether a node may be restarted now",
        run: tool::restart_safety::run,
    },
];

/// Small and quick for a program of many threads that allocate little each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let called = Path::new(&called).file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let called = called.strip_suffix(".sh").unwrap_or(called);
    let args: Vec<String> = args.collect();
    if let Some(command) = COMMANDS.iter().find(|c| c.kafka_name == Some(called)) {
        return (command.run)(&args);
    }
    match args.split_first() {
        Some((name, rest)) => match COMMANDS.iter().find(|c| c.name == name.as_str()) {
            Some(command) => (command.run)(rest),
            None if matches!(name.as_str(), "-h" | "--help" | "help") => {
                overview(&mut std::io::stdout());
                ExitCode::SUCCESS
            }
            None if matches!(name.as_str(), "-V" | "--version" | "version") => {
                let _ = writeln!(std::io::stdout(), "ottla {}", env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            None => {
                let _ = writeln!(std::io::stderr(), "ottla: there is no command {name}");
                overview(&mut std::io::stderr());
                ExitCode::FAILURE
            }
        },
        None => {
            overview(&mut std::io::stderr());
            ExitCode::FAILURE
        }
    }
}

/// Lists the commands. A reader that is gone is no reason to fail.
fn overview(out: &mut dyn Write) {
    let _ = writeln!(out, "usage: ottla COMMAND [ARGUMENT]...\n");
    for command in COMMANDS {
        let _ = writeln!(out, "  {:<20} {}", command.name, command.about);
    }
}
