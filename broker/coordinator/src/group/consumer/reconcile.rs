//! The way of a member from what it has to what it shall have: first it gives up, then it is
//! given what is free (KIP-848).

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_wire::api::consumer_group_heartbeat::ConsumerGroupHeartbeatRequestTopicPartitions;
use ottla_wire::{ErrorCode, Uuid};

use super::desk::Refused;
use super::group::{Assignment, ConsumerGroup};
use super::member::{Held, Member, MemberState};
use super::topics::Topics;

/// What a member says it has; `None` when it says nothing.
pub(crate) type Owned<'a> = Option<&'a [ConsumerGroupHeartbeatRequestTopicPartitions]>;

/// Whether a member subscribes to something else than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    Same,
    Changed,
}

/// What a member is led by.
pub(crate) struct Way<'a> {
    pub(crate) group: &'a ConsumerGroup,
    pub(crate) topics: &'a Topics,
    pub(crate) id: &'a str,
    pub(crate) target_epoch: i32,
    pub(crate) target: Arc<Assignment>,
    pub(crate) owned: Owned<'a>,
    pub(crate) subscription: Subscription,
}

impl Way<'_> {
    /// The member after its next step, which may be where it is.
    pub(crate) fn step(&self, member: &Member) -> Result<Member, Refused> {
        let changed = self.subscription == Subscription::Changed;
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => Ok(self.next(member, None)),
            MemberState::Unrevoked if self.still_has(&member.revoking) => {
                Ok(if changed { self.leave_topics(member) } else { member.clone() })
            }
            MemberState::Stable => {
                Ok(if changed { self.leave_topics(member) } else { member.clone() })
            }
            MemberState::Unrevoked | MemberState::Unreleased => Ok(self.next(member, None)),
            MemberState::Unknown => match self.owned {
                Some([]) => Ok(self.next(member, Some(self.target_epoch))),
                _ => Err(Refused::new(
                    ErrorCode::FENCED_MEMBER_EPOCH,
                    "The consumer group member is in a unknown state. The member must abandon all \
                     its partitions and rejoin.",
                )),
            },
        }
    }

    /// Whether the member may still have one of these; who says nothing, may.
    fn still_has(&self, revoking: &Held) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|topic| {
            revoking.get(&topic.topic_id).is_some_and(|partitions| {
                topic.partitions.iter().any(|partition| partitions.contains_key(partition))
            })
        })
    }

    fn subscribes(&self, member: &Member, topic: Uuid) -> bool {
        self.topics.name(topic).is_some_and(|name| self.group.subscribes(member, name))
    }

    /// Takes from a member the topics that it does not subscribe to any more.
    fn leave_topics(&self, member: &Member) -> Member {
        let left: Vec<Uuid> = member
            .assigned
            .keys()
            .filter(|topic| !self.subscribes(member, **topic))
            .copied()
            .collect();
        if left.is_empty() {
            return member.clone();
        }
        let mut next = member.clone();
        let mut revoking = member.revoking.clone();
        for topic in left {
            let partitions = next.assigned.remove(&topic).unwrap_or_default();
            revoking.entry(topic).or_default().extend(partitions);
        }
        if self.still_has(&revoking) {
            next.state = MemberState::Unrevoked;
            next.revoking = revoking;
        }
        next.enter(member.epoch);
        next
    }

    /// The step of a member that has given up what it was told to.
    fn next(&self, member: &Member, epoch: Option<i32>) -> Member {
        let mut assigned = Held::new();
        let mut revoking = Held::new();
        let mut given: Vec<(Uuid, i32)> = Vec::new();
        let mut unreleased = false;
        let topics: BTreeSet<Uuid> =
            self.target.keys().chain(member.assigned.keys()).copied().collect();
        for topic in topics {
            let none: Arc<[i32]> = Arc::from([]);
            let target = match self.target.get(&topic) {
                Some(target) if self.subscribes(member, topic) => target,
                _ => &none,
            };
            let has = member.assigned.get(&topic);
            for (partition, since) in has.into_iter().flatten() {
                let keeps = target.binary_search(partition).is_ok();
                let to = if keeps { &mut assigned } else { &mut revoking };
                to.entry(topic).or_default().insert(*partition, *since);
            }
            for partition in target.iter() {
                if has.is_some_and(|has| has.contains_key(partition)) {
                    continue;
                }
                if self.group.is_owned_by_another(self.id, topic, *partition) {
                    unreleased = true;
                } else {
                    given.push((topic, *partition));
                }
            }
        }
        let mut next = member.clone();
        if !revoking.is_empty() && self.still_has(&revoking) {
            next.state = MemberState::Unrevoked;
            next.enter(epoch.unwrap_or(member.epoch));
            next.assigned = assigned;
            next.revoking = revoking;
            return next;
        }
        for (topic, partition) in given {
            assigned.entry(topic).or_default().insert(partition, self.target_epoch);
        }
        next.state = if unreleased { MemberState::Unreleased } else { MemberState::Stable };
        next.enter(self.target_epoch);
        next.assigned = assigned;
        next.revoking = Held::new();
        next
    }
}
