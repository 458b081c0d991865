//! The part of a Fetch that has to do with its session.

use std::collections::BTreeMap;

use ottla_engine::{NEVER_TOLD, ParkedFetch, SharedSession};
use ottla_replica::session::{
    Answer, FetchPartition as Asked, FetchSession, Key, NO_SESSION, Naming, News, Owner,
    SessionChange, SessionRequest,
};
use ottla_wire::ErrorCode;
use ottla_wire::api::fetch::FetchRequest;

use super::{naming, topic};
use crate::call::Call;

/// One request's place in its session: which partitions it is about, and what the session must
/// learn of the answer.
pub(super) struct Round {
    /// In the order in which they are to be read, each with the high watermark told last, as
    /// [`FetchItem::told`](ottla_engine::FetchItem::told) has it.
    pub(super) partitions: Vec<(Key, Asked, i64)>,
    /// What the response says.
    pub(super) session_id: i32,
    kind: Kind,
    owner: Owner,
}

enum Kind {
    /// No session: everything is told.
    None,
    /// A new session, if there is a place for it: everything is told.
    New,
    /// A session goes on: only news are told.
    Goes(SharedSession),
}

impl Round {
    /// Finds or begins the session.
    ///
    /// # Errors
    /// What to answer to a request that does not fit its session.
    pub(super) fn begin(
        call: &Call,
        request: &FetchRequest,
        replica: i32,
    ) -> Result<Self, ErrorCode> {
        let owner = if replica >= 0 { Owner::Follower } else { Owner::Consumer };
        let told = match owner {
            Owner::Follower => -1,
            Owner::Consumer => NEVER_TOLD,
        };
        let named = named(call.version, request);
        let untold = |named: Vec<(Key, Asked)>| {
            named.into_iter().map(|(key, asked)| (key, asked, told)).collect()
        };
        let sessions = &call.context.sessions;
        let (id, epoch) = match call.version {
            7.. => (request.session_id, request.session_epoch),
            _ => (NO_SESSION, ottla_replica::session::FINAL_EPOCH),
        };
        let (id, epoch) = match SessionRequest::from_wire(id, epoch) {
            SessionRequest::Sessionless { ends } => {
                sessions.remove(ends);
                let partitions = untold(named);
                return Ok(Self { partitions, session_id: NO_SESSION, kind: Kind::None, owner });
            }
            SessionRequest::New { ends } => {
                sessions.remove(ends);
                let partitions = untold(named);
                return Ok(Self { partitions, session_id: NO_SESSION, kind: Kind::New, owner });
            }
            SessionRequest::Incremental { id, epoch } => (id, epoch),
        };
        let session = sessions.get(id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if owner == Owner::Follower {
            session.supersede();
        }
        let mut state = session.lock();
        let forgotten = forgotten(call.version, request);
        let change = SessionChange { partitions: named, forgotten };
        state.update(epoch, by(call.version), change)?;
        let told = |last| if owner == Owner::Follower { last } else { NEVER_TOLD };
        let partitions: Vec<_> =
            state.told().map(|(k, a, last)| (k.clone(), *a, told(last))).collect();
        drop(state);
        sessions.touch(id, partitions.len(), call.context.core.clock().mono());
        // A session without partitions ends.
        let id = if partitions.is_empty() {
            sessions.remove(id);
            NO_SESSION
        } else {
            id
        };
        Ok(Self { partitions, session_id: id, kind: Kind::Goes(session), owner })
    }

    /// Lets a follower's next request end this one, which waits.
    pub(super) fn park(&self, fetch: &mut ParkedFetch) {
        if let (Kind::Goes(session), Owner::Follower) = (&self.kind, self.owner) {
            session.park(fetch);
        }
    }

    /// Lets the session know what is answered, and says of each partition whether it is told.
    pub(super) fn settle<'a>(
        &mut self,
        call: &Call,
        answers: impl Iterator<Item = (&'a Key, &'a Answer)>,
    ) -> Vec<News> {
        match &self.kind {
            Kind::None => answers.map(|_| News::Some).collect(),
            Kind::New => {
                let partitions = std::mem::take(&mut self.partitions);
                let partitions = partitions.into_iter().map(|(key, asked, _)| (key, asked));
                let mut session = FetchSession::new(partitions.collect());
                let news = answers
                    .map(|(key, answer)| {
                        session.note(key, answer);
                        News::Some
                    })
                    .collect();
                let now = call.context.core.clock().mono();
                let created = call.context.sessions.create(self.owner, session, now);
                self.session_id = created.unwrap_or(NO_SESSION);
                news
            }
            Kind::Goes(session) => {
                let mut session = session.lock();
                answers.map(|(key, answer)| session.note(key, answer)).collect()
            }
        }
    }
}

fn by(version: i16) -> Naming {
    naming(version)
}

fn named(version: i16, request: &FetchRequest) -> Vec<(Key, Asked)> {
    let mut all = Vec::new();
    for t in &request.topics {
        let name = topic(version, &t.topic, t.topic_id);
        all.extend(t.partitions.iter().map(|p| {
            let asked = Asked {
                fetch_offset: p.fetch_offset,
                max_bytes: p.partition_max_bytes,
                current_leader_epoch: p.current_leader_epoch,
                last_fetched_epoch: p.last_fetched_epoch,
                log_start_offset: p.log_start_offset,
            };
            (Key { topic: name.clone(), partition: p.partition }, asked)
        }));
    }
    once(all)
}

/// Each partition once, in its first place, with what was asked of it last, as Kafka reads it.
fn once(mut all: Vec<(Key, Asked)>) -> Vec<(Key, Asked)> {
    if all.len() < 2 {
        return all;
    }
    let mut places: BTreeMap<Key, (usize, Asked)> = BTreeMap::new();
    for (place, (key, asked)) in all.iter().enumerate() {
        let known = places.entry(key.clone()).or_insert((place, *asked));
        known.1 = *asked;
    }
    if places.len() == all.len() {
        return all;
    }
    let mut place = 0;
    all.retain_mut(|(key, asked)| {
        let (first, last) = places.get(key).copied().unwrap_or((place, *asked));
        *asked = last;
        place += 1;
        first == place - 1
    });
    all
}

fn forgotten(version: i16, request: &FetchRequest) -> Vec<Key> {
    let of = |t: &ottla_wire::api::fetch::ForgottenTopic| {
        let name = topic(version, &t.topic, t.topic_id);
        let key = move |p: &i32| Key { topic: name.clone(), partition: *p };
        t.partitions.iter().map(key).collect::<Vec<_>>()
    };
    request.forgotten_topics_data.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use ottla_replica::session::Topic;

    use super::*;

    #[test]
    fn a_partition_that_is_named_again_is_read_once() {
        let key = |partition| Key { topic: Topic::Name("t".into()), partition };
        let asked = |fetch_offset| Asked {
            fetch_offset,
            max_bytes: 1,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            log_start_offset: -1,
        };
        let all = vec![(key(1), asked(1)), (key(0), asked(2)), (key(1), asked(3))];
        assert_eq!(once(all), [(key(1), asked(3)), (key(0), asked(2))]);
    }
}
