//! The requests of a fetcher, and its side of the fetch session (KIP-227).

use std::collections::BTreeMap;

use ottla_config::{BrokerConfig, keys};
use ottla_replica::FetchAsk;
use ottla_replica::session::{INITIAL_EPOCH, NO_SESSION, next_epoch};
use ottla_wire::api::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, ReplicaState,
};
use ottla_wire::api::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use crate::ids::PartitionId;
use crate::partition::Partition;

/// Asks for the log end offset.
pub(super) const LATEST: i64 = -1;

/// Asks for the log start offset.
pub(super) const EARLIEST: i64 = -2;

/// The session, as the one who asks knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// While it has not begun, that of one that is over, which the leader is to end.
    id: i32,
    /// Of the next request; [`INITIAL_EPOCH`] while it has not begun.
    epoch: i32,
    /// Counts sessions: answers to requests of an earlier one mean nothing.
    pub(super) generation: u64,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { id: NO_SESSION, epoch: INITIAL_EPOCH, generation: 0 }
    }

    /// Whether the leader knows what was asked before.
    pub(super) fn goes_on(&self) -> bool {
        self.epoch != INITIAL_EPOCH
    }

    /// Begins anew. The next request names the session that is over, so that the leader does not
    /// keep it, and what waits of it on a connection that is broken.
    pub(super) fn reset(&mut self) {
        self.epoch = INITIAL_EPOCH;
        self.generation += 1;
    }

    /// Begins anew with a leader that does not know the session.
    pub(super) fn forget(&mut self) {
        self.reset();
        self.id = NO_SESSION;
    }

    /// Takes in the session of an answer. Whether the leader still knows what was asked.
    pub(super) fn answered(&mut self, response: &FetchResponse) -> bool {
        if self.goes_on() {
            return self.id == response.session_id;
        }
        self.id = response.session_id;
        if self.id == NO_SESSION {
            return false;
        }
        self.epoch = next_epoch(INITIAL_EPOCH);
        true
    }

    /// The session's fields of the next request.
    fn next(&mut self) -> (i32, i32) {
        let now = (self.id, self.epoch);
        if self.goes_on() {
            self.epoch = next_epoch(self.epoch);
        }
        now
    }
}

/// A request that is being put together. Partitions come in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Draft {
    topics: Vec<FetchTopic>,
    forgotten: Vec<ForgottenTopic>,
}

impl Draft {
    pub(super) fn ask(&mut self, id: PartitionId, ask: &FetchAsk, max_bytes: i32) {
        let data = FetchPartition {
            partition: id.partition,
            current_leader_epoch: ask.leader_epoch,
            fetch_offset: ask.offset,
            last_fetched_epoch: ask.last_epoch,
            log_start_offset: ask.start_offset,
            partition_max_bytes: max_bytes,
            ..Default::default()
        };
        match self.topics.last_mut() {
            Some(topic) if topic.topic_id == id.topic => topic.partitions.push(data),
            _ => self.topics.push(FetchTopic {
                topic_id: id.topic,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }

    pub(super) fn forget(&mut self, id: PartitionId) {
        match self.forgotten.last_mut() {
            Some(topic) if topic.topic_id == id.topic => topic.partitions.push(id.partition),
            _ => self.forgotten.push(ForgottenTopic {
                topic_id: id.topic,
                partitions: vec![id.partition],
                ..Default::default()
            }),
        }
    }

    pub(super) fn finish(
        self,
        session: &mut Session,
        replica_id: i32,
        replica_epoch: i64,
        config: &BrokerConfig,
    ) -> FetchRequest {
        let (session_id, session_epoch) = session.next();
        FetchRequest {
            replica_state: ReplicaState { replica_id, replica_epoch },
            max_wait_ms: config.get(keys::REPLICA_FETCH_WAIT_MAX_MS),
            min_bytes: config.get(keys::REPLICA_FETCH_MIN_BYTES),
            max_bytes: config.get(keys::REPLICA_FETCH_RESPONSE_MAX_BYTES),
            session_id,
            session_epoch,
            topics: self.topics,
            forgotten_topics_data: self.forgotten,
            ..Default::default()
        }
    }
}

/// Asks for one end of the logs of these partitions, in the order of their ids, each in its epoch.
pub(super) fn ends<'a>(
    replica_id: i32,
    timestamp: i64,
    partitions: impl Iterator<Item = (&'a Partition, i32)>,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, current_leader_epoch) in partitions {
        let data = ListOffsetsPartition {
            partition_index: partition.id().partition,
            current_leader_epoch,
            timestamp,
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == **partition.topic() => topic.partitions.push(data),
            _ => topics.push(ListOffsetsTopic {
                name: partition.topic().to_string(),
                partitions: vec![data],
            }),
        }
    }
    ListOffsetsRequest { replica_id, topics, ..Default::default() }
}

/// The offsets that were found, by topic and partition.
pub(super) fn found(response: ListOffsetsResponse) -> BTreeMap<(String, i32), i64> {
    let mut offsets = BTreeMap::new();
    for topic in response.topics {
        for data in topic.partitions {
            if data.error_code.is_none() && data.offset >= 0 {
                offsets.insert((topic.name.clone(), data.partition_index), data.offset);
            }
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(session_id: i32) -> FetchResponse {
        FetchResponse { session_id, ..Default::default() }
    }

    #[test]
    fn who_begins_anew_names_the_session_that_is_over() {
        let mut session = Session::new();
        assert_eq!(session.next(), (NO_SESSION, INITIAL_EPOCH));
        assert!(session.answered(&answer(7)) && session.goes_on());
        assert_eq!([session.next(), session.next()], [(7, 1), (7, 2)]);
        assert!(session.answered(&answer(7)));
        // Twice, as when the next connection breaks as well.
        for generation in 1..3 {
            session.reset();
            assert!(!session.goes_on() && session.generation == generation);
            assert_eq!(session.next(), (7, INITIAL_EPOCH));
        }
        assert!(session.answered(&answer(8)));
        assert_eq!(session.next(), (8, 1));
        assert!(!session.answered(&answer(9)), "it is another one's");
    }

    #[test]
    fn what_the_leader_does_not_know_is_not_named() {
        let mut session = Session::new();
        assert!(session.answered(&answer(7)));
        session.forget();
        assert_eq!((session.next(), session.generation), ((NO_SESSION, INITIAL_EPOCH), 1));
        assert!(session.answered(&answer(8)));
        session.reset();
        assert_eq!(session.next(), (8, INITIAL_EPOCH));
        // It has no place for another one, and has ended the one that was named.
        assert!(!session.answered(&answer(NO_SESSION)) && !session.goes_on());
        assert_eq!(session.next(), (NO_SESSION, INITIAL_EPOCH));
    }
}
