//! Whether a node may be restarted now, and if not, why.

use crate::partitions::LeaderRules;
use crate::settings::Settings;
use ottla_metadata::{Image, Partition};
use std::fmt;
use std::sync::Arc;

/// Reasons of one verdict that are told; the rest are counted.
pub const MAX_REASONS: usize = 100;

/// Records that a voter may lack of the committed ones and still count as in step: what is on its way at any time.
pub const MAX_VOTER_LAG: i64 = 1_000;

/// Milliseconds since the quorum's leader heard of a voter for the last time, and it still counts as up.
pub const MAX_VOTER_SILENCE_MS: u64 = 5_000;

/// What the leader of the metadata quorum knows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumView {
    /// The id of the leader.
    pub leader: Option<i32>,
    /// The offset up to which, not included, the metadata log is committed.
    pub high_watermark: i64,
    /// The voters.
    pub voters: Vec<VoterView>,
}

/// A voter of the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoterView {
    /// Its id.
    pub id: i32,
    /// The end of its log; `None` when it is not known.
    pub end_offset: Option<i64>,
    /// Milliseconds since the leader last heard of it, 0 for the leader itself; `None` when it is not known.
    pub heard_ms_ago: Option<u64>,
}

/// A partition, by the names that people know it by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Why a node should not be restarted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The cluster knows no node of this id.
    UnknownNode,
    /// The metadata quorum has no leader.
    NoQuorumLeader,
    /// The node is the only voter: the cluster has no controller without it.
    OnlyVoter,
    /// Without the node, too few voters are up and in step to make a majority.
    TooFewVoters {
        /// Other voters that are up and in step.
        up: usize,
        /// The majority.
        needed: usize,
    },
    /// Another voter lacks committed records.
    VoterBehind {
        /// The voter.
        voter: i32,
        /// How many it lacks.
        records: i64,
    },
    /// The leader has not heard of another voter for long.
    VoterSilent {
        /// The voter.
        voter: i32,
        /// For how long.
        ms: u64,
    },
    /// It is not known how far another voter is.
    VoterUnknown {
        /// The voter.
        voter: i32,
    },
    /// No other replica of a partition is in sync: it would be gone meanwhile.
    NoOtherInSync(Named),
    /// A partition would have fewer replicas in sync than min.insync.replicas, so that it could not be written.
    UnderMinIsr {
        /// The partition.
        partition: Named,
        /// The other replicas in sync.
        left: usize,
        /// How many it needs.
        needed: usize,
    },
    /// A reassignment of a partition that the node has a part in is under way.
    Reassigning(Named),
    /// The node's own replica is not in sync: it has not caught up since it was last away.
    NotInSync(Named),
}

impl Reason {
    /// The reason's name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownNode => "UNKNOWN_NODE",
            Self::NoQuorumLeader => "NO_QUORUM_LEADER",
            Self::OnlyVoter => "ONLY_VOTER",
            Self::TooFewVoters { .. } => "TOO_FEW_VOTERS",
            Self::VoterBehind { .. } => "VOTER_BEHIND",
            Self::VoterSilent { .. } => "VOTER_SILENT",
            Self::VoterUnknown { .. } => "VOTER_UNKNOWN",
            Self::NoOtherInSync(_) => "NO_OTHER_IN_SYNC",
            Self::UnderMinIsr { .. } => "UNDER_MIN_ISR",
            Self::Reassigning(_) => "REASSIGNING",
            Self::NotInSync(_) => "NOT_IN_SYNC",
        }
    }

    /// The partition it is about, if it is about one.
    #[must_use]
    pub fn partition(&self) -> Option<&Named> {
        match self {
            Self::NoOtherInSync(p)
            | Self::UnderMinIsr { partition: p, .. }
            | Self::Reassigning(p)
            | Self::NotInSync(p) => Some(p),
            _ => None,
        }
    }

    /// The voter it is about, if it is about one.
    #[must_use]
    pub fn voter(&self) -> Option<i32> {
        match self {
            Self::VoterBehind { voter, .. }
            | Self::VoterSilent { voter, .. }
            | Self::VoterUnknown { voter } => Some(*voter),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNode => f.write_str("the cluster knows no node of this id"),
            Self::NoQuorumLeader => f.write_str("the metadata quorum has no leader"),
            Self::OnlyVoter => f.write_str(
                "it is the only voter of the metadata quorum: there is no controller without it",
            ),
            Self::TooFewVoters { up, needed } => write!(
                f,
                "without it, {up} voter(s) of the metadata quorum are up and in step, and a majority is {needed}"
            ),
            Self::VoterBehind { voter, records } => {
                write!(f, "voter {voter} of the metadata quorum lacks {records} committed records")
            }
            Self::VoterSilent { voter, ms } => {
                write!(f, "voter {voter} of the metadata quorum has been silent for {ms} ms")
            }
            Self::VoterUnknown { voter } => {
                write!(f, "it is not known how far voter {voter} of the metadata quorum is")
            }
            Self::NoOtherInSync(p) => {
                write!(f, "no other replica of {p} is in sync: it would have no leader")
            }
            Self::UnderMinIsr { partition, left, needed } => write!(
                f,
                "{partition} would have {left} replica(s) in sync, fewer than min.insync.replicas={needed}: it could \
                 not be written with acks=all"
            ),
            Self::Reassigning(p) => write!(f, "a reassignment of {p} is under way"),
            Self::NotInSync(p) => write!(f, "its replica of {p} is not in sync"),
        }
    }
}

/// Whether a node may be restarted now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why not: what is about the node and the quorum first, then partitions in the order of their names. At most
    /// [`MAX_REASONS`].
    pub reasons: Vec<Reason>,
    /// How many more there are.
    pub more: usize,
}

impl Verdict {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.reasons.is_empty()
    }

    fn push(&mut self, reason: Reason) {
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason);
        } else {
            self.more += 1;
        }
    }
}

/// Judges whether a node may be restarted now: whether the cluster goes on to serve all that it serves.
///
/// `settings` are those of the node that asks; topics inherit `min.insync.replicas` of them.
#[must_use]
pub fn restart_safety(
    image: &Image,
    settings: &Settings,
    quorum: &QuorumView,
    node: i32,
) -> Verdict {
    let mut verdict = Verdict::default();
    let votes = quorum.voters.iter().any(|v| v.id == node);
    if !votes && image.broker(node).is_none() && image.controller(node).is_none() {
        verdict.push(Reason::UnknownNode);
        return verdict;
    }
    if quorum.leader.is_none() {
        verdict.push(Reason::NoQuorumLeader);
    } else if votes {
        judge_voters(&mut verdict, quorum, node);
    }
    for topic in image.topics() {
        let mut rules = None;
        for (id, p) in topic.partitions.iter() {
            if !p.replicas.contains(&node) {
                continue;
            }
            let rules = rules.get_or_insert_with(|| LeaderRules::new(image, settings, topic));
            let named = Named { topic: topic.name.clone(), partition: id };
            judge_partition(&mut verdict, p, named, rules.min_isr_of(p), node);
        }
    }
    verdict
}

fn judge_voters(verdict: &mut Verdict, quorum: &QuorumView, node: i32) {
    if quorum.voters.len() == 1 {
        verdict.push(Reason::OnlyVoter);
        return;
    }
    let mut up = 0;
    for voter in quorum.voters.iter().filter(|v| v.id != node) {
        match voter_trouble(quorum, voter) {
            Some(reason) => verdict.push(reason),
            None => up += 1,
        }
    }
    let needed = quorum.voters.len() / 2 + 1;
    if up < needed {
        verdict.push(Reason::TooFewVoters { up, needed });
    }
}

fn voter_trouble(quorum: &QuorumView, voter: &VoterView) -> Option<Reason> {
    let id = voter.id;
    let (Some(end), Some(ms)) = (voter.end_offset, voter.heard_ms_ago) else {
        return Some(Reason::VoterUnknown { voter: id });
    };
    let records = quorum.high_watermark.saturating_sub(end);
    if ms > MAX_VOTER_SILENCE_MS {
        Some(Reason::VoterSilent { voter: id, ms })
    } else if records > MAX_VOTER_LAG {
        Some(Reason::VoterBehind { voter: id, records })
    } else {
        None
    }
}

fn judge_partition(verdict: &mut Verdict, p: &Partition, named: Named, needed: usize, node: i32) {
    if p.is_reassigning() {
        verdict.push(Reason::Reassigning(named.clone()));
    }
    if !p.isr.contains(&node) {
        // A replica that is only just added is told of as a reassignment.
        if !p.adding().contains(&node) {
            verdict.push(Reason::NotInSync(named));
        }
        return;
    }
    let left = p.isr.len() - 1;
    if left == 0 {
        verdict.push(Reason::NoOtherInSync(named));
    } else if left < needed {
        verdict.push(Reason::UnderMinIsr { partition: named, left, needed });
    }
}
