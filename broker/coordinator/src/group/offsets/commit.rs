//! OffsetCommit and TxnOffsetCommit.

use ottla_machine::{Decision, Ticket, Time};
use ottla_wire::api::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_wire::api::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};
use ottla_wire::schema::group::OffsetCommitValue;
use ottla_wire::{ErrorCode, Uuid};

use crate::group::classic::{CommitKind, Committer};
use crate::group::command::{Effect, Reply};
use crate::group::record::{GroupRecord, Producer, offset_key};
use crate::group::room::{Room, TOO_LARGE};
use crate::group::settings::GroupSettings;
use crate::group::state::GroupState;
use crate::group::view::View;
use crate::group::waits::GroupWaits;
use crate::group::{GroupMachine, within};

/// From this version on a group that is not there is said to be that.
const GROUP_NOT_FOUND_SINCE: i16 = 9;
/// The retention of clients that ask for none of their own.
const DEFAULT_RETENTION: i64 = -1;

impl GroupWaits {
    pub(in crate::group) fn commit(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        version: i16,
        request: OffsetCommitRequest,
    ) -> Decision<GroupMachine> {
        let missing = if version >= GROUP_NOT_FOUND_SINCE {
            ErrorCode::GROUP_ID_NOT_FOUND
        } else {
            ErrorCode::ILLEGAL_GENERATION
        };
        let who = Committer::of(&request);
        let commit = Commit { group: &request.group_id, who, version, missing };
        let ids = request.topics.iter().map(|topic| (topic.topic_id, topic.name.as_str()));
        let partitions =
            request.topics.iter().zip(ids).flat_map(|(topic, id)| {
                topic.partitions.iter().map(move |p| (id, p.partition_index))
            });
        let allowed = self.check_commit(state, &commit, CommitKind::Plain, partitions);
        if allowed.is_ok() {
            self.keep_alive(&request.group_id, &request.member_id, time);
        }
        let expire_ms = match request.retention_time_ms {
            DEFAULT_RETENTION => -1,
            retention => time.wall_ms.saturating_add(retention),
        };
        let mut batch = Batch::new(&self.settings);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition_index = partition.partition_index;
                let offset = Offset {
                    group: &request.group_id,
                    topic: &topic.name,
                    topic_id: topic.topic_id,
                    producer: None,
                    now_ms: time.wall_ms,
                    expire_ms,
                };
                let error_code = match allowed {
                    Ok(()) => batch.add(offset, partition),
                    Err(error) => error,
                };
                partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
            }
            let (name, topic_id) = (topic.name, topic.topic_id);
            topics.push(OffsetCommitResponseTopic { name, topic_id, partitions });
        }
        if !batch.fits() {
            let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| partition.error_code = TOO_LARGE);
        }
        let response = OffsetCommitResponse { topics, ..Default::default() };
        batch.decide(ticket, Reply::OffsetCommit(response))
    }

    pub(in crate::group) fn txn_commit(
        &mut self,
        state: &GroupState,
        time: Time,
        ticket: Ticket,
        request: TxnOffsetCommitRequest,
    ) -> Decision<GroupMachine> {
        let who = Committer {
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let allowed = if request.group_id.is_empty() {
            Err(ErrorCode::INVALID_GROUP_ID)
        } else {
            let missing = ErrorCode::ILLEGAL_GENERATION;
            let commit = Commit { group: &request.group_id, who, version: 0, missing };
            let partitions = request.topics.iter().flat_map(|topic| {
                let id = (Uuid::ZERO, topic.name.as_str());
                topic.partitions.iter().map(move |p| (id, p.partition_index))
            });
            self.check_commit(state, &commit, CommitKind::Transactional, partitions)
        };
        let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
        let mut batch = Batch::new(&self.settings);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition_index = partition.partition_index;
                let offset = Offset {
                    group: &request.group_id,
                    topic: &topic.name,
                    topic_id: Uuid::ZERO,
                    producer: Some(producer),
                    now_ms: time.wall_ms,
                    expire_ms: -1,
                };
                let partition = OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: partition.committed_offset,
                    committed_leader_epoch: partition.committed_leader_epoch,
                    committed_metadata: partition.committed_metadata,
                };
                let error_code = match allowed {
                    Ok(()) => batch.add(offset, partition),
                    Err(error) => error,
                };
                partitions.push(TxnOffsetCommitResponsePartition { partition_index, error_code });
            }
            topics.push(TxnOffsetCommitResponseTopic { name: topic.name, partitions });
        }
        if !batch.fits() {
            let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| partition.error_code = TOO_LARGE);
        }
        let response = TxnOffsetCommitResponse { topics, ..Default::default() };
        batch.decide(ticket, Reply::TxnOffsetCommit(response))
    }

    /// Whether the commit may be; `missing` is for members of groups that are not there. Who is
    /// no member brings a group into being just by committing.
    fn check_commit<'a>(
        &self,
        state: &GroupState,
        commit: &Commit<'_>,
        kind: CommitKind,
        partitions: impl Iterator<Item = ((Uuid, &'a str), i32)>,
    ) -> Result<(), ErrorCode> {
        let who = commit.who;
        match View::of(state, &self.live, commit.group) {
            Some(view) => {
                view.check_commit(who, kind, commit.version)?;
                if !matches!(view, View::Consumer(_)) {
                    return Ok(());
                }
                for ((id, name), partition) in partitions {
                    let id = match id {
                        Uuid::ZERO => self.topics.named(name).map_or(id, |topic| topic.id),
                        id => id,
                    };
                    view.check_partition(who, id, partition)?;
                }
                Ok(())
            }
            None if who.generation < 0 => Ok(()),
            None => Err(commit.missing),
        }
    }

    fn keep_alive(&mut self, group: &str, member: &str, time: Time) {
        let Some(group) = self.live.get_mut(group) else { return };
        within(time, &self.settings, &mut self.timers, |turn| group.committed(member, turn));
    }
}

/// A commit, as far as it is looked at whether it may be.
struct Commit<'a> {
    group: &'a str,
    who: Committer<'a>,
    version: i16,
    /// What is said of a group that is not there.
    missing: ErrorCode,
}

/// What all offsets of a topic in a commit share.
struct Offset<'a> {
    group: &'a str,
    topic: &'a str,
    topic_id: Uuid,
    producer: Option<Producer>,
    now_ms: i64,
    expire_ms: i64,
}

/// The records of a commit, as they gather. All of them are written, or none.
struct Batch {
    records: Vec<GroupRecord>,
    room: Room,
    max_metadata: usize,
}

impl Batch {
    fn new(settings: &GroupSettings) -> Self {
        let room = Room::new(settings.max_batch_bytes);
        Self { records: Vec::new(), room, max_metadata: settings.offset_metadata_max_size }
    }

    fn add(&mut self, offset: Offset<'_>, partition: OffsetCommitRequestPartition) -> ErrorCode {
        let metadata = partition.committed_metadata.unwrap_or_default();
        // No text has more UTF-16 units than bytes, so most need no counting.
        if metadata.len() > self.max_metadata && metadata.encode_utf16().count() > self.max_metadata
        {
            return ErrorCode::OFFSET_METADATA_TOO_LARGE;
        }
        self.room.add_offset(offset.group.len() + offset.topic.len() + metadata.len());
        if self.room.is_over() {
            return TOO_LARGE;
        }
        self.records.push(GroupRecord::Offset {
            producer: offset.producer,
            key: offset_key(offset.group, offset.topic, partition.partition_index),
            value: Some(OffsetCommitValue {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata,
                commit_timestamp: offset.now_ms,
                expire_timestamp: offset.expire_ms,
                // The only version of the record with a time of expiry has no room for the id.
                topic_id: if offset.expire_ms == -1 { offset.topic_id } else { Uuid::ZERO },
            }),
        });
        ErrorCode::NONE
    }

    /// Whether the records fit one batch; if they do not, they are forgotten.
    fn fits(&mut self) -> bool {
        let fits = self.room.holds(&self.records);
        if !fits {
            self.records = Vec::new();
        }
        fits
    }

    fn decide(self, ticket: Ticket, reply: Reply) -> Decision<GroupMachine> {
        let effects = match self.records.len() {
            0 => Vec::new(),
            count => vec![Effect::OffsetsCommitted(count)],
        };
        Decision { records: self.records, effects, ..Decision::reply(ticket, reply) }
    }
}
