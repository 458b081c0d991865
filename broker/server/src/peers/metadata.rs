//! Committed metadata for a node that is no member of the quorum: Fetch and FetchSnapshot on
//! `__cluster_metadata-0`, as Kafka's observers send them (KIP-595, KIP-630).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ottla_client::{ClientError, Connection};
use ottla_config::BrokerConfig;
use ottla_quorum::pull::{
    Found, LeaderHint, Piece, PullAsk, PullError, Pulled, Puller, SnapshotAsk, SnapshotChunk,
};
use ottla_quorum::snapshot::SnapshotId;
use ottla_quorum::{BoxFuture, Endpoint};
use ottla_wire::api::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData, ReplicaState,
};
use ottla_wire::api::fetch_snapshot::{
    FetchSnapshotRequest, FetchSnapshotRequestPartitionSnapshot, FetchSnapshotRequestSnapshotId,
    FetchSnapshotRequestTopicSnapshot,
};
use ottla_wire::{ErrorCode, Records, Uuid};
use parking_lot::Mutex;

use super::{Links, address};

/// The metadata log's topic.
pub(crate) const TOPIC: &str = "__cluster_metadata";
/// Its id.
pub(crate) const TOPIC_ID: Uuid = Uuid::ONE;

/// More than the time for which a controller is allowed to keep a question open.
pub(crate) const KEPT_OPEN: Duration = Duration::from_secs(1);

/// Asks controllers for metadata.
#[derive(Debug)]
pub(crate) struct Controllers {
    links: Arc<Links>,
    config: Arc<BrokerConfig>,
    /// Which of the addresses in the configuration is asked next.
    next: AtomicUsize,
    /// Who was asked and has not answered: not the first to be asked again.
    unanswered: Mutex<Option<String>>,
}

impl Controllers {
    pub(crate) fn new(links: Arc<Links>, config: Arc<BrokerConfig>) -> Arc<Self> {
        Arc::new(Self { links, config, next: AtomicUsize::new(0), unanswered: Mutex::default() })
    }

    /// Where to ask: the leader, else the next of the addresses in the configuration.
    fn whom(&self, leader: Option<&LeaderHint>) -> Option<String> {
        let known = leader.and_then(|leader| {
            let told = address::of_controller(&self.config, &leader.endpoints);
            told.or_else(|| address::configured(&self.config, leader.id))
        });
        known.or_else(|| {
            let voters = self.config.voters().iter().map(|v| &v.address);
            let all: Vec<_> = voters
                .chain(self.config.bootstrap_controllers())
                .map(|a| address::text(&a.host, a.port))
                .collect();
            let silent = self.unanswered.lock();
            let from = self.next.fetch_add(1, Ordering::Relaxed);
            another(&all, from, silent.as_deref()).cloned()
        })
    }

    async fn connect(&self, leader: Option<&LeaderHint>) -> Result<Arc<Connection>, PullError> {
        let nowhere = || PullError::Unreachable("no address of a controller is known".to_owned());
        let address = self.whom(leader).ok_or_else(nowhere)?;
        *self.unanswered.lock() = Some(address.clone());
        self.links.get(&address).await.map_err(unreachable)
    }

    async fn pull(&self, ask: PullAsk) -> Result<Pulled, PullError> {
        let connection = self.connect(ask.whom.as_ref()).await?;
        // Whoever asks may give up here.
        let response = connection.send(&fetch_request(&ask)).await.map_err(unreachable)?;
        *self.unanswered.lock() = None;
        pulled(response)
    }

    async fn piece(&self, ask: SnapshotAsk) -> Result<SnapshotChunk, PullError> {
        let connection = self.connect(ask.whom.as_ref()).await?;
        let request = snapshot_request(&ask);
        let response = connection.send(&request).await.map_err(unreachable)?;
        check(response.error_code, None)?;
        let mut partitions = response.topics.into_iter().flat_map(|t| t.partitions);
        let partition = partitions.next().ok_or_else(|| nonsense("no partition"))?;
        let leader = &partition.current_leader;
        let node = response.node_endpoints.iter().find(|n| n.node_id == leader.leader_id);
        let hint =
            hint(leader.leader_id, leader.leader_epoch, node.map(|n| (n.host.clone(), n.port)));
        check(partition.error_code, hint)?;
        Ok(SnapshotChunk {
            id: SnapshotId {
                end_offset: partition.snapshot_id.end_offset,
                epoch: partition.snapshot_id.epoch,
            },
            size: partition.size,
            position: partition.position,
            piece: Piece::Bytes(bytes(Some(partition.unaligned_records))),
        })
    }
}

impl Puller for Controllers {
    fn fetch(&self, ask: PullAsk) -> BoxFuture<'_, Result<Pulled, PullError>> {
        Box::pin(self.pull(ask))
    }

    fn snapshot(&self, ask: SnapshotAsk) -> BoxFuture<'_, Result<SnapshotChunk, PullError>> {
        Box::pin(self.piece(ask))
    }
}

/// The address at this place, counted round and round; the one behind it, if that one is silent.
fn another<'a>(all: &'a [String], from: usize, silent: Option<&str>) -> Option<&'a String> {
    let at = from.checked_rem(all.len())?;
    let turned = all.iter().cycle().skip(at).take(all.len());
    turned.clone().find(|a| Some(a.as_str()) != silent).or_else(|| all.get(at))
}

fn fetch_request(ask: &PullAsk) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: ask.epoch,
        fetch_offset: ask.offset,
        last_fetched_epoch: ask.last_epoch,
        partition_max_bytes: i32::try_from(ask.max_bytes).unwrap_or(i32::MAX),
        replica_directory_id: ask.replica.directory,
        ..Default::default()
    };
    FetchRequest {
        cluster_id: Some(ask.cluster_id.clone()),
        replica_state: ReplicaState { replica_id: ask.replica.id, replica_epoch: -1 },
        max_wait_ms: i32::try_from(ask.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        max_bytes: i32::try_from(ask.max_bytes).unwrap_or(i32::MAX),
        topics: vec![FetchTopic {
            topic: TOPIC.to_owned(),
            topic_id: TOPIC_ID,
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

fn snapshot_request(ask: &SnapshotAsk) -> FetchSnapshotRequest {
    FetchSnapshotRequest {
        cluster_id: Some(ask.cluster_id.clone()),
        replica_id: ask.replica.id,
        max_bytes: i32::try_from(ask.max_bytes).unwrap_or(i32::MAX),
        topics: vec![FetchSnapshotRequestTopicSnapshot {
            name: TOPIC.to_owned(),
            partitions: vec![FetchSnapshotRequestPartitionSnapshot {
                partition: 0,
                current_leader_epoch: ask.epoch,
                snapshot_id: FetchSnapshotRequestSnapshotId {
                    end_offset: ask.id.end_offset,
                    epoch: ask.id.epoch,
                },
                position: ask.position,
                replica_directory_id: ask.replica.directory,
            }],
        }],
    }
}

/// What a leader's answer to Fetch says.
fn pulled(response: FetchResponse) -> Result<Pulled, PullError> {
    check(response.error_code, None)?;
    let mut partitions = response.responses.into_iter().flat_map(|t| t.partitions);
    let data: PartitionData = partitions.next().ok_or_else(|| nonsense("no partition"))?;
    let leader = &data.current_leader;
    let node = response.node_endpoints.iter().find(|n| n.node_id == leader.leader_id);
    let endpoint = node.and_then(|n| Some((n.host.clone(), u16::try_from(n.port).ok()?)));
    let hint = hint(leader.leader_id, leader.leader_epoch, endpoint);
    check(data.error_code, hint.clone())?;
    if data.diverging_epoch.end_offset >= 0 {
        let end = data.diverging_epoch;
        return Err(PullError::Diverged { epoch: end.epoch, end_offset: end.end_offset });
    }
    let found = if data.snapshot_id.end_offset >= 0 {
        let id = data.snapshot_id;
        Found::Snapshot(SnapshotId { end_offset: id.end_offset, epoch: id.epoch })
    } else {
        Found::Batches(Piece::Bytes(bytes(data.records)))
    };
    Ok(Pulled {
        leader: hint.ok_or_else(|| nonsense("no leader"))?,
        high_watermark: data.high_watermark,
        log_start: data.log_start_offset,
        found,
    })
}

fn bytes(records: Option<Records>) -> Bytes {
    records.and_then(|r| r.bytes().cloned()).unwrap_or_default()
}

fn hint(id: i32, epoch: i32, at: Option<(String, u16)>) -> Option<LeaderHint> {
    let endpoints =
        at.map(|(host, port)| Endpoint { name: String::new(), host, port }).into_iter().collect();
    (id >= 0).then_some(LeaderHint { id, epoch, endpoints })
}

fn check(code: ErrorCode, leader: Option<LeaderHint>) -> Result<(), PullError> {
    Err(match code {
        ErrorCode::NONE => return Ok(()),
        ErrorCode::NOT_LEADER_OR_FOLLOWER => PullError::NotLeader(leader),
        ErrorCode::UNKNOWN_LEADER_EPOCH => PullError::StaleLeader,
        ErrorCode::FENCED_LEADER_EPOCH => PullError::NewerEpoch(leader),
        ErrorCode::INCONSISTENT_CLUSTER_ID => PullError::ForeignCluster("another one".to_owned()),
        ErrorCode::SNAPSHOT_NOT_FOUND => PullError::NoSnapshot,
        ErrorCode::POSITION_OUT_OF_RANGE => PullError::Position,
        code => PullError::Failed(format!("the controller answers {code}")),
    })
}

fn unreachable(error: ClientError) -> PullError {
    PullError::Unreachable(error.to_string())
}

fn nonsense(what: &str) -> PullError {
    PullError::Failed(format!("the controller's answer makes no sense: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_not_asked_again_at_once() {
        let all = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let asked = |from, silent| another(&all, from, silent).map(String::as_str);
        assert_eq!(asked(4, None), Some("b:1"));
        assert_eq!(asked(1, Some("b:1")), Some("c:1"));
        assert_eq!(asked(2, Some("c:1")), Some("a:1"));
        assert_eq!(asked(2, Some("elsewhere:1")), Some("c:1"));
        assert_eq!(another(&all[..1], 5, Some("a:1")).map(String::as_str), Some("a:1"));
        assert_eq!(another(&[], 5, None), None);
    }
}
