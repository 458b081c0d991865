//! The replicas as they are to be, while a plan grows, and how many each broker holds.

use super::{Move, Plan, PlanError, Topics};
use crate::placement::Racks;
use ottla_metadata::{Image, Partition, Topic};
use ottla_wire::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a broker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Replicas.
    pub(super) replicas: usize,
    /// Partitions that it is to lead: it stands first.
    pub(super) leads: usize,
}

/// A partition that the plan may touch.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) topic: &'a Arc<Topic>,
    pub(super) id: i32,
    pub(super) partition: &'a Partition,
    /// Its replicas before the plan.
    pub(super) before: Vec<i32>,
    /// Its replicas so far.
    pub(super) now: Vec<i32>,
    /// Directories for its replicas, by their brokers.
    pub(super) directories: BTreeMap<i32, Uuid>,
}

/// All partitions that a plan may touch, and the loads of all brokers.
#[derive(Debug)]
pub(super) struct Board<'a> {
    image: &'a Image,
    racks: Racks,
    rows: Vec<Row<'a>>,
    loads: BTreeMap<i32, Load>,
}

/// The replicas that a partition has when what is under way is done.
pub(super) fn target(p: &Partition) -> Vec<i32> {
    p.replicas.iter().copied().filter(|r| !p.removing().contains(r)).collect()
}

impl<'a> Board<'a> {
    /// The board of an image. Loads count every topic; rows are the partitions of `topics` alone.
    pub(super) fn new(image: &'a Image, topics: &Topics) -> Result<Self, PlanError> {
        if let Topics::Named(names) = topics
            && let Some(name) = names.iter().find(|n| image.topic_named(n).is_none())
        {
            return Err(PlanError::UnknownTopic(name.clone()));
        }
        let mut loads: BTreeMap<i32, Load> =
            image.brokers().map(|b| (b.id, Load::default())).collect();
        let mut rows = Vec::new();
        for topic in image.topics() {
            let wanted = match topics {
                Topics::All => true,
                Topics::Named(names) => names.contains(topic.name.as_ref()),
            };
            for (id, partition) in topic.partitions.iter() {
                let before = target(partition);
                for (at, broker) in before.iter().enumerate() {
                    let load = loads.entry(*broker).or_default();
                    load.replicas += 1;
                    load.leads += usize::from(at == 0);
                }
                if wanted {
                    let (now, directories) = (before.clone(), BTreeMap::new());
                    rows.push(Row { topic, id, partition, before, now, directories });
                }
            }
        }
        Ok(Self { image, racks: Racks::new(image), rows, loads })
    }

    pub(super) fn image(&self) -> &'a Image {
        self.image
    }

    pub(super) fn racks(&self) -> &Racks {
        &self.racks
    }

    pub(super) fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    pub(super) fn load(&self, broker: i32) -> Load {
        self.loads.get(&broker).copied().unwrap_or_default()
    }

    /// Whose turn it is to take a replica: the broker that holds the fewest, and of those the one to lead the fewest.
    pub(super) fn turn(&self, broker: i32) -> (usize, usize) {
        let load = self.load(broker);
        (load.replicas, load.leads)
    }

    /// Gives a row other replicas.
    pub(super) fn set(&mut self, row: usize, replicas: Vec<i32>) {
        let Some(row) = self.rows.get_mut(row) else { return };
        let old = std::mem::replace(&mut row.now, replicas);
        for (at, broker) in old.iter().enumerate() {
            let load = self.loads.entry(*broker).or_default();
            load.replicas = load.replicas.saturating_sub(1);
            load.leads = load.leads.saturating_sub(usize::from(at == 0));
        }
        for (at, broker) in row.now.iter().enumerate() {
            let load = self.loads.entry(*broker).or_default();
            load.replicas += 1;
            load.leads += usize::from(at == 0);
        }
    }

    /// Says in which directory a replica shall be.
    pub(super) fn set_directory(&mut self, row: usize, broker: i32, directory: Uuid) {
        if let Some(row) = self.rows.get_mut(row) {
            row.directories.insert(broker, directory);
        }
    }

    /// Puts first, of the replicas of a row, the one that leads the fewest partitions. For rows whose first replica
    /// went: the others keep their leader.
    pub(super) fn lead_anew(&mut self, row: usize) {
        let Some(mut replicas) = self.rows.get(row).map(|r| r.now.clone()) else { return };
        let Some(first) = replicas.first().copied() else { return };
        // The one that stands first now is counted as leading this partition, which it need not.
        let leads = |b: i32| self.load(b).leads.saturating_sub(usize::from(b == first));
        let best = (0..replicas.len()).min_by_key(|at| replicas.get(*at).map(|b| (leads(*b), *at)));
        if let Some(at) = best {
            let chosen = replicas.remove(at);
            replicas.insert(0, chosen);
            self.set(row, replicas);
        }
    }

    /// A row for which too few brokers are left.
    pub(super) fn too_few(&self, row: usize, wanted: usize, found: usize) -> PlanError {
        let (topic, partition) =
            self.rows.get(row).map_or((Arc::from(""), 0), |r| (r.topic.name.clone(), r.id));
        PlanError::TooFewBrokers { topic, partition, wanted, found }
    }

    /// What is to be done.
    pub(super) fn into_plan(self) -> Plan {
        let changed =
            self.rows.into_iter().filter(|r| r.before != r.now || !r.directories.is_empty());
        let moves = changed.map(|r| Move {
            topic: r.topic.name.clone(),
            partition: r.id,
            from: r.before,
            to: r.now,
            directories: r.directories,
        });
        Plan { moves: moves.collect() }
    }
}
