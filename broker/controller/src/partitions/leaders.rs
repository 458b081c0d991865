//! Leaders of many partitions at once: when brokers come and go, and back to the preferred ones.

use super::change::{Change, Election, Rules};
use crate::configs::Defaults;
use crate::draft::Draft;
use crate::settings::Settings;
use crate::topics::default_directory;
use ottla_metadata::{ConfigResource, Image, Partition, Topic};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::PartitionChangeRecord;
use std::collections::BTreeMap;

/// Why leaders are chosen anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A broker leaves the in-sync replicas in order: it is fenced, shut down or unregistered.
    Left(i32),
    /// A broker came back after it stopped without closing its logs.
    StoppedUncleanly(i32),
    /// A broker is back in service; the image does not show it yet.
    Came(i32),
}

impl Cause {
    fn concerns(self, p: &Partition) -> bool {
        match self {
            Self::Left(id) => p.isr.contains(&id) || p.leader == id,
            Self::StoppedUncleanly(id) => p.isr.contains(&id) || p.elr().contains(&id),
            Self::Came(_) => !p.has_leader(),
        }
    }
}

/// What decides of leaders in one topic.
pub(crate) struct LeaderRules<'a> {
    image: &'a Image,
    min_isr: i64,
    unclean: bool,
}

impl<'a> LeaderRules<'a> {
    pub(crate) fn new(image: &'a Image, settings: &'a Settings, topic: &Topic) -> Self {
        let own = image.configs(&ConfigResource::topic(&topic.name));
        let none = BTreeMap::new();
        let own = own.map_or(&none, |values| values.as_ref());
        let defaults = Defaults::new(image, settings);
        let value = |key| defaults.value(key, own);
        let min_isr = value("min.insync.replicas").and_then(|v| v.trim().parse().ok());
        let unclean = value("unclean.leader.election.enable");
        Self {
            image,
            min_isr: min_isr.unwrap_or(1),
            unclean: unclean.is_some_and(|v| v.trim().eq_ignore_ascii_case("true")),
        }
    }

    /// Whether the topic prefers a leader that lacks records to none.
    pub(crate) fn unclean(&self) -> bool {
        self.unclean
    }

    /// How many replicas of a partition must be in sync for it to be written.
    pub(crate) fn min_isr_of(&self, p: &Partition) -> usize {
        usize::try_from(self.min_isr).unwrap_or(0).min(p.replicas.len())
    }

    /// The rules for a partition.
    pub(crate) fn of(&self, p: &Partition) -> Rules {
        let version = self.image.features().version();
        Rules {
            min_isr: self.min_isr_of(p),
            elr_enabled: self.image.features().elr_enabled(),
            bump_on_shrink: version.bumps_epoch_on_shrink(),
        }
    }

    /// Whether a broker may lead the partition: it is in service, and its replica's directory is online.
    pub(crate) fn accepts(&self, p: &Partition, broker: i32) -> bool {
        self.image.is_active(broker) && self.directory_is_online(p, broker)
    }

    fn directory_is_online(&self, p: &Partition, broker: i32) -> bool {
        match (self.image.broker(broker), p.directory_of(broker)) {
            (Some(registration), Some(dir)) => registration.has_online_directory(dir),
            // A replica that a reassignment is just adding is nowhere yet.
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The record of a change.
    pub(crate) fn build(&self, change: Change<'_>) -> Option<PartitionChangeRecord> {
        let default = |broker| default_directory(self.image, broker);
        let known = self.image.features().version().has_directories();
        change.build(known.then_some(&default as &dyn Fn(i32) -> Uuid))
    }
}

/// Chooses leaders and in-sync replicas anew for all partitions that a broker's coming or going concerns, or for
/// those of them that `only` lets through.
pub(crate) fn update_leaders(
    draft: &mut Draft<'_>,
    settings: &Settings,
    cause: Cause,
    only: &dyn Fn(&Partition) -> bool,
) {
    let image = draft.image().clone();
    let mut records = Vec::new();
    for topic in image.topics_by_id() {
        let mut rules = None;
        for (id, p) in topic.partitions.iter() {
            if !cause.concerns(p) || !only(p) {
                continue;
            }
            let rules = rules.get_or_insert_with(|| LeaderRules::new(&image, settings, topic));
            let acceptable = |broker: i32| match cause {
                Cause::Left(gone) | Cause::StoppedUncleanly(gone) if gone == broker => false,
                Cause::Came(new) if new == broker => rules.directory_is_online(p, broker),
                _ => rules.accepts(p, broker),
            };
            let mut change = Change::new(p, topic.id, id, &acceptable, rules.of(p));
            if rules.unclean() {
                change = change.election(Election::Unclean);
            }
            let without = |gone| p.isr.iter().copied().filter(|r| *r != gone).collect();
            change = match cause {
                Cause::Left(gone) => change.isr(without(gone)),
                Cause::StoppedUncleanly(gone) => {
                    change.isr(without(gone)).uncleanly_shut_down(gone)
                }
                Cause::Came(_) => change,
            };
            records.extend(rules.build(change));
        }
    }
    draft.extend(records.into_iter().map(Into::into));
}

/// The most partitions that one go of a chore changes.
const MAX_CHORES: usize = 1_000;

/// What is done of itself from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chore {
    /// Leadership goes back to preferred replicas that can lead.
    Balance,
    /// Partitions without a leader get one that may lack records, in topics that prefer this to none.
    ElectUncleanly,
}

impl Chore {
    pub(crate) const ALL: [Self; 2] = [Self::Balance, Self::ElectUncleanly];

    /// How often it is done, in milliseconds, if it is done at all.
    pub(crate) fn every_ms(self, settings: &Settings) -> Option<u64> {
        match self {
            Self::Balance => settings.rebalance_every_ms,
            Self::ElectUncleanly => Some(settings.unclean_every_ms),
        }
    }
}

/// Does a chore for as many partitions as one go may take. Returns whether there may be more to do.
pub(crate) fn do_chore(draft: &mut Draft<'_>, settings: &Settings, chore: Chore) -> bool {
    let image = draft.image().clone();
    let mut records: Vec<PartitionChangeRecord> = Vec::new();
    for topic in image.topics_by_id() {
        let mut rules = None;
        for (id, p) in topic.partitions.iter() {
            let due = match chore {
                Chore::Balance => {
                    !p.has_preferred_leader() && image.is_active(p.preferred_leader())
                }
                Chore::ElectUncleanly => !p.has_leader(),
            };
            if !due {
                continue;
            }
            let rules = rules.get_or_insert_with(|| LeaderRules::new(&image, settings, topic));
            let election = match chore {
                Chore::Balance => Election::Preferred,
                Chore::ElectUncleanly if rules.unclean() => Election::Unclean,
                Chore::ElectUncleanly => break,
            };
            let acceptable = |broker| rules.accepts(p, broker);
            let change = Change::new(p, topic.id, id, &acceptable, rules.of(p));
            records.extend(rules.build(change.election(election)));
            if records.len() >= MAX_CHORES {
                draft.extend(records.into_iter().map(Into::into));
                return true;
            }
        }
    }
    draft.extend(records.into_iter().map(Into::into));
    false
}
