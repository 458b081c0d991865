//! `ottla restart-safety`: whether a node may be restarted now, and if not, why.
//!
//! The same judgement as `/api/v1/nodes/ID/restart-safety`, over what any broker answers; so it works for a node that
//! does not.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ottla_client::QuorumDescription;
use ottla_controller::Settings;
use ottla_controller::restart::{QuorumView, Verdict, VoterView, restart_safety};

use super::cluster;
use super::connect::{self, Failure, say};
use super::picture::Picture;

/// Says whether a node may be restarted now. Exit code 0: it may; 1: it should not, or it is not known.
#[derive(Parser, Debug)]
#[command(name = "ottla restart-safety", version)]
struct RestartSafety {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: String,
    /// A file with properties of the client.
    #[arg(long)]
    command_config: Option<String>,
    /// The id of the node.
    #[arg(long)]
    node: i32,
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: RestartSafety = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    cluster::block_on(async {
        let verdict = match judge(&options).await {
            Ok(verdict) => verdict,
            Err(failure) => return connect::end(Err(failure)),
        };
        tell(options.node, &verdict, &mut std::io::stdout().lock());
        if verdict.is_safe() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

async fn judge(options: &RestartSafety) -> Result<Verdict, Failure> {
    let server = Some(options.bootstrap_server.as_str());
    let client = connect::client("ottla-restart-safety", server, None, &[&options.command_config])?;
    let picture = Picture::take_with_min_isr(&client).await?;
    let quorum = view(&client.describe_quorum().await?);
    // What topics inherit is in their configurations as they were answered.
    Ok(restart_safety(&picture.image, &Settings::default(), &quorum, options.node))
}

/// The quorum as its leader tells of it. The leader's clock is the one that counts.
fn view(quorum: &QuorumDescription) -> QuorumView {
    let leader = quorum.voters.iter().find(|v| v.id == quorum.leader);
    let now = leader.map_or(-1, |l| l.last_fetch_ms);
    let voters = quorum.voters.iter().map(|v| VoterView {
        id: v.id,
        end_offset: (v.log_end_offset >= 0).then_some(v.log_end_offset),
        heard_ms_ago: match v.last_fetch_ms {
            _ if v.id == quorum.leader => Some(0),
            ms if ms < 0 || now < 0 => None,
            ms => Some(u64::try_from(now - ms).unwrap_or(0)),
        },
    });
    QuorumView {
        leader: (quorum.leader >= 0).then_some(quorum.leader),
        high_watermark: quorum.high_watermark,
        voters: voters.collect(),
    }
}

fn tell(node: i32, verdict: &Verdict, out: &mut dyn Write) {
    if verdict.is_safe() {
        say(out, format_args!("Node {node} may be restarted now."));
        return;
    }
    say(out, format_args!("Node {node} should not be restarted now:"));
    for reason in &verdict.reasons {
        say(out, format_args!("  {}: {reason}", reason.code()));
    }
    if verdict.more > 0 {
        say(out, format_args!("  and {} more", verdict.more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::QuorumReplica;
    use ottla_controller::restart::Reason;
    use ottla_wire::Uuid;
    use std::collections::BTreeMap;

    #[test]
    fn the_leaders_clock_counts() {
        let replica = |id, end, ms| QuorumReplica {
            id,
            directory: Uuid::ZERO,
            log_end_offset: end,
            last_fetch_ms: ms,
            last_caught_up_ms: ms,
        };
        let quorum = QuorumDescription {
            leader: 1,
            epoch: 1,
            high_watermark: 9,
            voters: vec![replica(1, 9, 5_000), replica(2, 8, 4_200), replica(3, -1, -1)],
            observers: Vec::new(),
            endpoints: BTreeMap::new(),
        };
        let seen: Vec<_> =
            view(&quorum).voters.iter().map(|v| (v.end_offset, v.heard_ms_ago)).collect();
        assert_eq!(seen, [(Some(9), Some(0)), (Some(8), Some(800)), (None, None)]);
    }

    #[test]
    fn verdicts_in_words() {
        let mut out = Vec::new();
        tell(1, &Verdict::default(), &mut out);
        tell(2, &Verdict { reasons: vec![Reason::OnlyVoter], more: 3 }, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "Node 1 may be restarted now.\nNode 2 should not be restarted now:\n  ONLY_VOTER: it is the only voter of \
             the metadata quorum: there is no controller without it\n  and 3 more\n"
        );
    }
}
