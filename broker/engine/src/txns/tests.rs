use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use ottla_config::{NoSurroundings, parse};
use ottla_coordinator::txn::Reply;
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::real::RealDisk;
use ottla_metadata::Delta;
use ottla_wire::Uuid;
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::api::end_txn::EndTxnRequest;
use ottla_wire::api::init_producer_id::InitProducerIdRequest;
use ottla_wire::api::write_txn_markers::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use ottla_wire::schema::metadata::{
    MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord,
};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::*;
use crate::dirs::{LogDir, LogDirs};
use crate::env::SystemClock;
use crate::publish::Publisher;
use crate::replicas::Replicas;
use crate::replication::{PeerError, PeerFuture};
use crate::shard::Submitted;

const TOPIC: Uuid = Uuid::from_u128(0x7C);
const ID: &str = "an id";

/// The leaders of all partitions: broker 1, which writes what it is told to, unless it is down.
#[derive(Debug, Default)]
struct Leaders {
    down: AtomicBool,
    gone: AtomicBool,
    written: Mutex<BTreeMap<i64, BTreeSet<i32>>>,
}

impl MarkerPeers for Leaders {
    fn leader(&self, _: &str, _: i32) -> Leader {
        if self.gone.load(Ordering::Relaxed) { Leader::Gone } else { Leader::Broker(1) }
    }

    fn write(
        &self,
        _: i32,
        request: WriteTxnMarkersRequest,
    ) -> PeerFuture<WriteTxnMarkersResponse> {
        if self.down.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Err(PeerError("down".to_owned()))));
        }
        let mut markers = Vec::new();
        for marker in &request.markers {
            let mut topics = Vec::new();
            for topic in &marker.topics {
                let mut written = self.written.lock();
                let all = written.entry(marker.producer_id).or_default();
                all.extend(topic.partition_indexes.iter().copied());
                let partitions = topic.partition_indexes.iter().map(|index| {
                    let (partition_index, error_code) = (*index, ErrorCode::NONE);
                    WritableTxnMarkerPartitionResult { partition_index, error_code }
                });
                let (name, partitions) = (topic.name.clone(), partitions.collect());
                topics.push(WritableTxnMarkerTopicResult { name, partitions });
            }
            markers.push(WritableTxnMarkerResult { producer_id: marker.producer_id, topics });
        }
        Box::pin(std::future::ready(Ok(WriteTxnMarkersResponse { markers })))
    }
}

/// A node with one partition of the topic of transactions.
struct Rig {
    txns: Arc<Txns>,
    leaders: Arc<Leaders>,
    publisher: Publisher,
    image: Image,
    runtime: Runtime,
    _root: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let config: BrokerConfig = parse(None, &[], &NoSurroundings).unwrap().config;
        let root = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let core = Core::start(SystemClock::start()).unwrap();
        let cache = FileCache::new(Arc::new(RealDisk), 100);
        let (failures, _) = tokio::sync::mpsc::unbounded_channel();
        let files = Arc::new(Files::open(&root.path().join("d"), &cache).unwrap());
        let dir = LogDir::new(Uuid::from_u128(0xD100), files, failures);
        let txns = Txns::new(&config, Arc::clone(&core), runtime.handle().clone());
        let leaders = Arc::<Leaders>::default();
        txns.send_by(leaders.clone());
        let mut publisher =
            Publisher::new(core, Replicas::new(), LogDirs::new(vec![dir]), config.into());
        publisher.listen(Arc::clone(&txns) as _);
        publisher.load(Image::default());
        let image = Image::default();
        let mut rig = Self { txns, leaders, publisher, image, runtime, _root: root };
        let topic = TopicRecord { name: TRANSACTIONS_TOPIC.into(), topic_id: TOPIC };
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC,
            directories: vec![Uuid::UNASSIGNED_DIRECTORY],
            isr: vec![1],
            replicas: vec![1],
            leader: 1,
            leader_epoch: 3,
            ..Default::default()
        };
        rig.publish(&[topic.into(), partition.into()]);
        rig
    }

    fn publish(&mut self, records: &[MetadataRecord]) {
        let before = self.image.clone();
        for record in records {
            self.image.apply(record, 0).unwrap();
        }
        let delta = Delta::between(&before, &self.image);
        self.publisher.publish(self.image.clone(), &delta);
    }

    /// Has this node, or none, lead the partition.
    fn led_by(&mut self, leader: i32) {
        let change = PartitionChangeRecord {
            partition_id: 0,
            topic_id: TOPIC,
            leader,
            ..Default::default()
        };
        self.publish(&[change.into()]);
    }

    fn shard(&self) -> Arc<Shard<TxnMachine>> {
        loop {
            match self.txns.of(ID, 1) {
                Ok(shard) => return shard,
                Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn wait(&self, submitted: Submitted<TxnMachine>) -> Reply {
        let reply = async { tokio::time::timeout(Duration::from_secs(60), submitted).await };
        self.runtime.block_on(reply).expect("a reply in time").expect("a reply")
    }

    fn ask(&self, version: i16, request: Request) -> Reply {
        self.wait(self.shard().submit(Command { version, request }))
    }

    /// Begins a transaction with these partitions.
    fn begin(&self, partitions: &[i32]) {
        let request = InitProducerIdRequest {
            transactional_id: Some(ID.to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let init = Request::InitProducerId { request, spare_id: Some(9) };
        assert!(matches!(self.ask(5, init), Reply::InitProducerId(_)));
        let adding = AddPartitionsToTxnTransaction {
            transactional_id: ID.to_owned(),
            producer_id: 9,
            topics: vec![AddPartitionsToTxnTopic {
                name: "t".to_owned(),
                partitions: partitions.to_vec(),
            }],
            ..Default::default()
        };
        assert!(matches!(self.ask(5, Request::AddPartitions(adding)), Reply::AddPartitions(_)));
    }

    fn commit(&self) {
        let request = EndTxnRequest {
            transactional_id: ID.to_owned(),
            producer_id: 9,
            producer_epoch: 0,
            committed: true,
        };
        let Reply::EndTxn(end) = self.ask(5, Request::EndTxn { request, spare_id: None }) else {
            panic!("not an end's answer");
        };
        assert_eq!(end.error_code, ErrorCode::NONE);
    }

    fn state(&self) -> String {
        let Reply::Describe(described) = self.ask(0, Request::Describe(vec![ID.to_owned()])) else {
            panic!("not a description");
        };
        described[0].transaction_state.clone()
    }

    fn until_complete(&self) {
        while self.state() != "CompleteCommit" {
            std::thread::yield_now();
        }
    }
}

#[test]
fn markers_are_written_and_the_shard_is_told() {
    let rig = Rig::new();
    rig.begin(&[0, 1, 5]);
    rig.commit();
    rig.until_complete();
    assert_eq!(rig.leaders.written.lock()[&9], BTreeSet::from([0, 1, 5]));
    assert_eq!(rig.txns.shards().shell().ended.load(Ordering::Relaxed), 1);
}

#[test]
fn who_is_down_gets_its_markers_when_it_is_back() {
    let rig = Rig::new();
    rig.begin(&[0]);
    rig.leaders.down.store(true, Ordering::Relaxed);
    rig.commit();
    assert_eq!(rig.state(), "PrepareCommit");
    rig.leaders.down.store(false, Ordering::Relaxed);
    rig.until_complete();
}

#[test]
fn a_deleted_topic_needs_no_marker() {
    let rig = Rig::new();
    rig.begin(&[0]);
    rig.leaders.gone.store(true, Ordering::Relaxed);
    rig.commit();
    rig.until_complete();
    assert!(rig.leaders.written.lock().is_empty());
}

#[test]
fn the_next_leader_writes_the_markers_that_are_missing() {
    let mut rig = Rig::new();
    rig.begin(&[0, 1]);
    rig.leaders.down.store(true, Ordering::Relaxed);
    rig.commit();
    rig.led_by(-1);
    assert_eq!(rig.txns.of(ID, 1).unwrap_err(), ErrorCode::NOT_COORDINATOR);
    rig.leaders.down.store(false, Ordering::Relaxed);
    rig.led_by(1);
    rig.until_complete();
    assert_eq!(rig.leaders.written.lock()[&9], BTreeSet::from([0, 1]));
}

#[test]
fn after_the_end_nothing_is_sent() {
    let rig = Rig::new();
    rig.begin(&[0]);
    rig.leaders.down.store(true, Ordering::Relaxed);
    rig.commit();
    rig.txns.stop();
    assert_eq!(rig.txns.of(ID, 1).unwrap_err(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(rig.txns.markers.unfinished(), 0);
}
