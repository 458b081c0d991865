//! Offsets that are committed in transactions.

use std::time::Duration;

use ottla_coordinator::group::Stability;
use ottla_log::producers::{Beginning, Sequences, Verified};
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::record::TransactionResult::{self, Abort, Commit};

use super::*;
use crate::fetch::{Fetch, FetchItem, FetchParams, ReadFrom, fetch as fetch_records};
use crate::partition::{ReadAsk, TxnEnd};
use crate::shard::Transactional;
use crate::wait::Reader;

/// A commit of that offset for partition 0, in the transaction of producer 7.
fn txn_commit(group: &str, epoch: i16, committed_offset: i64) -> Command {
    let partition = TxnOffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic = TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] };
    let request = TxnOffsetCommitRequest {
        transactional_id: "x".into(),
        group_id: group.into(),
        producer_id: 7,
        producer_epoch: epoch,
        topics: vec![topic],
        ..Default::default()
    };
    command(Request::TxnOffsetCommit(request))
}

fn end(epoch: i16, coordinator_epoch: i32, result: TransactionResult) -> TxnEnd {
    let (producer_id, transaction_version) = (7, 1);
    TxnEnd { producer_id, producer_epoch: epoch, result, coordinator_epoch, transaction_version }
}

fn stable(group: &str) -> Command {
    let mut asked = fetch(group);
    if let Request::OffsetFetch { stability, .. } = &mut asked.request {
        *stability = Stability::Required;
    }
    asked
}

fn code_of(reply: &Reply) -> ErrorCode {
    match reply {
        Reply::OffsetFetch(response) => response.topics[0].partitions[0].error_code,
        Reply::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
        other => panic!("{other:?}"),
    }
}

impl Rig {
    fn ended(&self, end: &TxnEnd) -> Result<Reply, ErrorCode> {
        let submitted = self.groups.end_transaction(0, end).expect("a shard");
        let reply = async { tokio::time::timeout(Duration::from_secs(60), submitted).await };
        self.runtime.block_on(reply).expect("a reply in time")
    }

    fn refused(&self, submitted: Submitted<GroupMachine>) -> ErrorCode {
        match submitted {
            Submitted::Ready(Some(Err(code))) => code,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn offsets_of_a_transaction_count_from_its_end_on() {
    let rig = Rig::new("-1");
    let shard = rig.shard();
    rig.committed(shard.submit(commit("g", 1, 3)));
    for (result, told, epoch) in [(Abort, 3, 0), (Commit, 11, 1)] {
        let replied = rig.wait(shard.submit(txn_commit("g", epoch, 11)));
        assert_eq!(code_of(&replied), ErrorCode::NONE);
        assert_eq!(offset(&rig.wait(shard.submit(fetch("g")))), 3);
        let unstable = rig.wait(shard.submit(stable("g")));
        assert_eq!(code_of(&unstable), ErrorCode::UNSTABLE_OFFSET_COMMIT);
        assert_eq!(rig.ended(&end(epoch, 0, result)), Ok(Reply::Done));
        assert_eq!(offset(&rig.wait(shard.submit(stable("g")))), told);
    }
    assert!(Arc::ptr_eq(&shard, &rig.shard()));
    let log = shard.partition().log();
    assert_eq!((log.last_stable_offset(), log.end_offset()), (5, 5));
    assert_eq!(log.aborted(0..5).unwrap().len(), 1);
    // A replay comes to the same.
    shard.retire();
    assert_eq!(offset(&rig.wait(rig.shard_again().submit(stable("g")))), 11);
}

impl Rig {
    /// The shard that is read after one was dropped.
    fn shard_again(&self) -> Arc<Shard<GroupMachine>> {
        assert_eq!(self.groups.of("any", 1).err(), Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
        self.shard()
    }
}

#[test]
fn a_replay_finds_what_is_pending_too() {
    let rig = Rig::new("-1");
    rig.wait(rig.shard().submit(txn_commit("g", 0, 5)));
    rig.shard().retire();
    let again = rig.shard_again();
    let unstable = rig.wait(again.submit(stable("g")));
    assert_eq!(code_of(&unstable), ErrorCode::UNSTABLE_OFFSET_COMMIT);
    assert_eq!(rig.ended(&end(0, 0, Commit)), Ok(Reply::Done));
    assert_eq!(offset(&rig.wait(again.submit(stable("g")))), 5);
}

#[test]
fn what_the_log_refuses_changes_nothing_and_is_only_that_commands_error() {
    let rig = Rig::new("-1");
    let shard = rig.shard();
    rig.wait(shard.submit(txn_commit("g", 4, 5)));
    assert_eq!(rig.ended(&end(5, 3, Commit)), Ok(Reply::Done));
    let batches = rig.batches().len();
    let zombie = rig.refused(shard.submit(txn_commit("g", 4, 9)));
    assert_eq!(zombie, ErrorCode::INVALID_PRODUCER_EPOCH);
    let nobody_asked = Transactional { verified: Verified::By(None), ..Default::default() };
    let unknown = rig.refused(shard.submit_in(txn_commit("g", 5, 9), nobody_asked));
    assert_eq!(unknown, ErrorCode::INVALID_TXN_STATE);
    let fenced = rig.ended(&end(5, 2, Abort));
    assert_eq!(fenced, Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    assert_eq!(rig.ended(&end(4, 3, Abort)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(rig.batches().len(), batches);
    assert_eq!(offset(&rig.wait(shard.submit(stable("g")))), 5);
    assert!(!shard.is_dropped());
}

#[test]
fn offsets_come_in_with_their_guard_until_a_marker_ends_it() {
    let rig = Rig::new("-1");
    let shard = rig.shard();
    let beginning = Beginning { producer_id: 7, epoch: 0, sequence: -1, sequences: Sequences::Any };
    let verified = |guard| Transactional { verified: Verified::By(guard), ..Default::default() };
    let guard = shard.partition().begin_verification(&beginning).unwrap();
    assert!(guard.is_some());
    assert_eq!(rig.ended(&end(0, 0, Abort)), Ok(Reply::Done));
    let late = rig.refused(shard.submit_in(txn_commit("g", 0, 9), verified(guard)));
    assert_eq!(late, ErrorCode::INVALID_TXN_STATE);
    let guard = shard.partition().begin_verification(&beginning).unwrap();
    rig.wait(shard.submit_in(txn_commit("g", 0, 9), verified(guard)));
    assert_eq!(shard.partition().begin_verification(&beginning).unwrap(), None, "it is open");
    rig.wait(shard.submit_in(txn_commit("h", 0, 9), verified(None)));
}

#[test]
fn a_transaction_does_not_overtake_what_lingers() {
    let rig = Rig::new(NEVER);
    let shard = rig.shard();
    let before = shard.submit(commit("g", 1, 1));
    assert!(matches!(before, Submitted::Waiting(_)));
    let replied = rig.wait(shard.submit(txn_commit("g", 0, 2)));
    assert_eq!(code_of(&replied), ErrorCode::NONE);
    assert_eq!(rig.committed(before), [ErrorCode::NONE]);
    let behind = shard.submit(commit("g", 1, 3));
    assert_eq!(rig.ended(&end(0, 0, Commit)), Ok(Reply::Done));
    assert_eq!(rig.committed(behind), [ErrorCode::NONE]);
    // Of two offsets the one that was written later wins, whenever its transaction ends.
    assert_eq!(offset(&rig.wait_for_read(shard.submit(stable("g")))), 3);
    assert_eq!(rig.batches().iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

impl Rig {
    /// Nothing is decided behind it that would hold it back.
    fn wait_for_read(&self, submitted: Submitted<GroupMachine>) -> Reply {
        assert!(matches!(submitted, Submitted::Ready(_)), "{submitted:?}");
        self.wait(submitted)
    }
}

#[test]
fn the_end_is_told_when_all_replicas_in_sync_have_it() {
    let rig = Rig::of(&["offsets.commit.timeout.ms=3600000".to_owned()], vec![1, 2]);
    let shard = rig.shard();
    let submitted = shard.submit(txn_commit("g", 0, 7));
    assert!(matches!(submitted, Submitted::Waiting(_)));
    let ended = rig.groups.end_transaction(0, &end(0, 0, Commit)).unwrap();
    assert!(matches!(ended, Submitted::Waiting(_)));
    shard.retire();
    let told = rig.runtime.block_on(ended);
    assert_eq!(told.err(), Some(ErrorCode::NOT_COORDINATOR));
}

#[test]
fn readers_of_committed_records_wake_at_the_end_of_a_transaction() {
    let rig = Rig::new("0");
    let shard = rig.shard();
    let partition = shard.partition();
    let read = |min_bytes| {
        let ask = ReadAsk {
            offset: 0,
            max_bytes: 1 << 20,
            epoch: ottla_replica::EpochCheck::Any,
            last_fetched_epoch: -1,
        };
        let params = FetchParams {
            min_bytes,
            max_bytes: 1 << 20,
            max_wait_ms: 3_600_000,
            reader: Reader::Committed,
            follower: None,
            from: ReadFrom::Leader,
        };
        let item = FetchItem::consumer(Some(Arc::clone(partition)), ask);
        match fetch_records(&shard.core, params, vec![item]) {
            Fetch::Parked(parked) => parked,
            Fetch::Ready(found) => panic!("{found:?}"),
        }
    };
    for offset in 0..5 {
        rig.wait(shard.submit(txn_commit("g", 0, offset)));
    }
    let bytes = u32::try_from(partition.log().size()).unwrap();
    // As much as the transaction has in all, which is far more than its marker.
    let (few, all) = (read(1), read(bytes));
    assert_eq!(rig.ended(&end(0, 0, Abort)), Ok(Reply::Done));
    for parked in [few, all] {
        let woken = async { tokio::time::timeout(Duration::from_secs(60), parked).await };
        let found = rig.runtime.block_on(woken).expect("woken").expect("an answer");
        let read = found.into_iter().next().expect("an item").expect("a read");
        assert!(read.bytes() > bytes);
        assert_eq!((read.last_stable_offset, read.aborted.len()), (6, 1));
        assert_eq!((read.aborted[0].producer_id, read.aborted[0].first_offset), (7, 0));
    }
}
