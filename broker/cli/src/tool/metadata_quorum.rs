//! `ottla metadata-quorum`, Kafka's `kafka-metadata-quorum.sh`: the metadata quorum, and changes of its voters.

mod candidate;

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use ottla_client::{ControllerEndpoint, Fenced, QuorumDescription, QuorumReplica};
use ottla_wire::Uuid;

use super::cluster;
use super::connect::{self, Failure, Servers, joined, say};
use crate::argparse::{self, Manner};
use candidate::Candidate;

/// Shows the metadata quorum and changes its voters.
#[derive(Parser)]
#[command(name = "kafka-metadata-quorum")]
struct MetadataQuorum {
    #[command(flatten)]
    servers: Servers,
    /// A file with properties of the client; with add-controller the properties of the controller to be added.
    #[arg(long)]
    command_config: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the quorum.
    Describe {
        /// Who leads, how far it is, who votes.
        #[arg(long, help_heading = "Status")]
        status: bool,
        /// How far each member is.
        #[arg(long, help_heading = "Replication")]
        replication: bool,
        /// Show how long ago things were, with --replication.
        #[arg(long, help_heading = "Replication")]
        human_readable: bool,
    },
    /// Makes a controller a voter.
    AddController {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes the vote from a controller.
    RemoveController {
        /// The id of the controller.
        #[arg(long, short = 'i', allow_negative_numbers = true)]
        controller_id: i32,
        /// The id of its metadata directory.
        #[arg(long, short = 'd', allow_hyphen_values = true)]
        controller_directory_id: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: MetadataQuorum = match argparse::parse(args, Manner::Usual) {
        Ok(options) => options,
        Err(code) => return code,
    };
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        connect::end(perform(&options, &mut out).await)
    })
}

async fn perform(options: &MetadataQuorum, out: &mut dyn Write) -> Result<(), Failure> {
    let (server, controller) = (
        options.servers.bootstrap_server.as_deref(),
        options.servers.bootstrap_controller.as_deref(),
    );
    let client = || {
        let files = [&options.command_config];
        connect::client("ottla-metadata-quorum", server, controller, &files)
    };
    match &options.command {
        Command::Describe { status: true, replication: true, .. } => Err(
            "Only one of --status or --replication should be specified with describe sub-command"
                .into(),
        ),
        Command::Describe { status: false, replication: false, .. } => {
            Err("One of --status or --replication must be specified with describe sub-command"
                .into())
        }
        Command::Describe { status: true, human_readable: true, .. } => {
            Err("The option --human-readable is only supported along with --replication".into())
        }
        Command::Describe { status: true, .. } => {
            let client = client()?;
            let quorum = client.describe_quorum().await?;
            let cluster = client.describe_cluster(Fenced::Left).await?.id;
            say(out, status(&cluster, &quorum));
            Ok(())
        }
        Command::Describe { human_readable, .. } => {
            let quorum = client()?.describe_quorum().await?;
            let now = human_readable.then(now_ms);
            write!(out, "{}", table(&rows(&quorum, now)?)).map_err(Failure::from)
        }
        Command::AddController { dry_run } => {
            let Some(file) = &options.command_config else {
                return Err(
                    "You must supply the configuration file of the controller you are adding when using \
                     add-controller."
                        .into(),
                );
            };
            let Candidate { id, directory, endpoints } = Candidate::read(file)?;
            if !dry_run {
                client()?.add_voter(id, directory, &endpoints).await?;
            }
            let does = if *dry_run { "DRY RUN of adding" } else { "Added" };
            let endpoints = joined(endpoints.iter().map(endpoint), ",");
            say(
                out,
                format_args!(
                    "{does} controller {id} with directory id {directory} and endpoints: {endpoints}"
                ),
            );
            Ok(())
        }
        Command::RemoveController { controller_id, controller_directory_id, dry_run } => {
            let id = *controller_id;
            if id < 0 {
                return Err(Failure(format!("Invalid negative --controller-id: {id}")));
            }
            let directory: Uuid = controller_directory_id
                .parse()
                .map_err(|e| Failure(format!("Failed to parse --controller-directory-id: {e}")))?;
            if !dry_run {
                client()?.remove_voter(id, directory).await?;
            }
            // There are two spaces in Kafka's line of a dry run, and one otherwise.
            let does = if *dry_run { "DRY RUN of removing " } else { "Removed" };
            say(out, format_args!("{does} KRaft controller {id} with directory id {directory}"));
            Ok(())
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `NAME://host:port`, with brackets around the colons of a host.
fn endpoint(e: &ControllerEndpoint) -> String {
    let host = if e.host.contains(':') { format!("[{}]", e.host) } else { e.host.clone() };
    format!("{}://{host}:{}", e.listener, e.port)
}

fn leader(quorum: &QuorumDescription) -> Option<&QuorumReplica> {
    quorum.voters.iter().find(|v| v.id == quorum.leader)
}

/// What --status shows.
fn status(cluster: &str, quorum: &QuorumDescription) -> String {
    let last = quorum.voters.iter().min_by_key(|v| v.log_end_offset);
    let (lag, time) = match (leader(quorum), last) {
        (Some(leader), Some(last)) => {
            let time = if leader == last {
                0
            } else if leader.last_caught_up_ms >= 0 && last.last_caught_up_ms >= 0 {
                leader.last_caught_up_ms - last.last_caught_up_ms
            } else {
                -1
            };
            (leader.log_end_offset - last.log_end_offset, time)
        }
        _ => (-1, -1),
    };
    let members = |replicas: &[QuorumReplica]| {
        let shown = replicas.iter().map(|r| {
            let mut text = format!("{{\"id\": {}", r.id);
            if !r.directory.is_zero() {
                text.push_str(&format!(", \"directoryId\": \"{}\"", r.directory));
            }
            if let Some(endpoints) = quorum.endpoints.get(&r.id).filter(|e| !e.is_empty()) {
                let listed = joined(endpoints.iter().map(|e| format!("\"{}\"", endpoint(e))), ", ");
                text.push_str(&format!(", \"endpoints\": [{listed}]"));
            }
            text + "}"
        });
        format!("[{}]", joined(shown, ", "))
    };
    format!(
        "ClusterId:              {cluster}\nLeaderId:               {}\nLeaderEpoch:            {}\n\
         HighWatermark:          {}\nMaxFollowerLag:         {lag}\nMaxFollowerLagTimeMs:   {time}\n\
         CurrentVoters:          {}\nCurrentObservers:       {}",
        quorum.leader,
        quorum.epoch,
        quorum.high_watermark,
        members(&quorum.voters),
        members(&quorum.observers)
    )
}

/// What --replication shows: a row for each member, the leader first. With a time, times are shown as how long ago
/// they were.
fn rows(quorum: &QuorumDescription, now: Option<i64>) -> Result<Vec<[String; 7]>, Failure> {
    let end = leader(quorum).map_or(-1, |l| l.log_end_offset);
    let followers = quorum.voters.iter().filter(|v| v.id != quorum.leader).map(|v| (v, "Follower"));
    let members = (leader(quorum).into_iter().map(|l| (l, "Leader")))
        .chain(followers)
        .chain(quorum.observers.iter().map(|o| (o, "Observer")));
    let time = |ms: i64, what: &str| match now {
        None => Ok(ms.to_string()),
        Some(_) if ms < 0 => Ok("-1".to_owned()),
        Some(now) if now < ms => Err(Failure(format!(
            "Error while computing relative time, possible drift in system clock.\nCurrent timestamp is {now}, \
             {what} timestamp is {ms}"
        ))),
        Some(now) => Ok(format!("{} ms ago", now - ms)),
    };
    let titles = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    for (r, status) in members {
        rows.push([
            r.id.to_string(),
            r.directory.to_string(),
            r.log_end_offset.to_string(),
            (end - r.log_end_offset).to_string(),
            time(r.last_fetch_ms, "last fetch")?,
            time(r.last_caught_up_ms, "last caught up")?,
            status.to_owned(),
        ]);
    }
    Ok(rows)
}

/// Cells of one width a column, each with a tab behind it.
fn table(rows: &[[String; 7]]) -> String {
    let mut widths = [0; 7];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        for (width, cell) in widths.iter().zip(row) {
            text.push_str(&format!("{cell:<width$}\t"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn replica(id: i32, end: i64, ms: i64) -> QuorumReplica {
        QuorumReplica {
            id,
            directory: Uuid::ZERO,
            log_end_offset: end,
            last_fetch_ms: ms,
            last_caught_up_ms: ms,
        }
    }

    fn quorum() -> QuorumDescription {
        let endpoint = ControllerEndpoint {
            listener: "CONTROLLER".into(),
            host: "127.0.0.1".into(),
            port: 11,
        };
        QuorumDescription {
            leader: 2,
            epoch: 7,
            high_watermark: 90,
            voters: vec![replica(1, 95, 1_000), replica(2, 100, 1_500)],
            observers: vec![replica(3, 99, -1)],
            endpoints: BTreeMap::from([(1, vec![endpoint])]),
        }
    }

    #[test]
    fn the_status_is_told_as_kafka_tells_it() {
        assert_eq!(
            status("id", &quorum()),
            "ClusterId:              id\nLeaderId:               2\nLeaderEpoch:            7\n\
             HighWatermark:          90\nMaxFollowerLag:         5\nMaxFollowerLagTimeMs:   500\n\
             CurrentVoters:          [{\"id\": 1, \"endpoints\": [\"CONTROLLER://127.0.0.1:11\"]}, {\"id\": 2}]\n\
             CurrentObservers:       [{\"id\": 3}]"
        );
    }

    #[test]
    fn members_stand_in_a_table() {
        let text = table(&rows(&quorum(), Some(1_600)).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t"
        );
        assert_eq!(
            lines[1],
            "2     \tAAAAAAAAAAAAAAAAAAAAAA\t100         \t0  \t100 ms ago        \t100 ms ago           \tLeader  \t"
        );
        assert!(lines[2].ends_with("600 ms ago           \tFollower\t"), "{text}");
        assert!(lines[3].contains("\t1  \t-1 "), "{text}");
        assert!(rows(&quorum(), Some(1_200)).is_err(), "a clock that runs behind");
    }
}
