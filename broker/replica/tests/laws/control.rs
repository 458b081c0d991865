//! The controller, as far as one partition goes.

use std::collections::BTreeMap;

use ottla_replica::{ActiveBrokers, IsrAnswer, IsrProposal};

/// What the controller decided, as of one record.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) partition_epoch: i32,
    pub(crate) isr: Vec<i32>,
    /// Epochs, and whether in service.
    pub(crate) brokers: BTreeMap<i32, (i64, bool)>,
}

impl Meta {
    pub(crate) fn active(&self) -> ActiveBrokers {
        let active = self.brokers.iter().filter(|(_, (_, active))| *active);
        ActiveBrokers::new(active.map(|(id, (epoch, _))| (*id, *epoch)))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) history: Vec<Meta>,
}

impl Control {
    pub(crate) fn new(brokers: i32) -> Self {
        let all: Vec<i32> = (0..brokers).collect();
        let first = Meta {
            leader: 0,
            leader_epoch: 0,
            partition_epoch: 0,
            isr: all.clone(),
            brokers: all.iter().map(|id| (*id, (i64::from(*id), true))).collect(),
        };
        Self { history: vec![first] }
    }

    pub(crate) fn now(&self) -> &Meta {
        self.history.last().expect("never empty")
    }

    /// A broker leaves service: it leaves the in-sync replicas, unless it is the last of them.
    pub(crate) fn fence(&mut self, broker: i32) {
        let mut meta = self.now().clone();
        meta.brokers.get_mut(&broker).expect("known").1 = false;
        if meta.isr.contains(&broker) {
            if meta.isr.len() > 1 {
                meta.isr.retain(|id| *id != broker);
            }
            meta.partition_epoch += 1;
        }
        if meta.leader == broker {
            let active = |id: &&i32| meta.brokers[*id].1;
            meta.leader = meta.isr.iter().find(active).copied().unwrap_or(-1);
            meta.leader_epoch += 1;
        }
        self.history.push(meta);
    }

    /// A broker starts: what it was is fenced.
    pub(crate) fn register(&mut self, broker: i32) -> i64 {
        self.fence(broker);
        let epoch = 100 + self.history.len() as i64;
        let mut meta = self.now().clone();
        meta.brokers.insert(broker, (epoch, false));
        self.history.push(meta);
        epoch
    }

    pub(crate) fn unfence(&mut self, broker: i32) {
        let mut meta = self.now().clone();
        meta.brokers.get_mut(&broker).expect("known").1 = true;
        if meta.leader < 0 && meta.isr.contains(&broker) {
            meta.leader = broker;
            meta.leader_epoch += 1;
            meta.partition_epoch += 1;
        }
        self.history.push(meta);
    }

    /// AlterPartition.
    pub(crate) fn alter(&mut self, leader: i32, proposal: &IsrProposal) -> IsrAnswer {
        let mut meta = self.now().clone();
        let current = meta.leader == leader
            && meta.leader_epoch == proposal.leader_epoch
            && meta.partition_epoch == proposal.partition_epoch;
        if !current {
            return IsrAnswer::Outdated;
        }
        let eligible = proposal.isr.iter().all(|(id, epoch)| {
            let (registered, active) = meta.brokers[id];
            active && (*epoch == -1 || *epoch == registered)
        });
        if !eligible {
            // What the leader asked for more than once must not be taken when it comes late.
            meta.partition_epoch += 1;
            self.history.push(meta);
            return IsrAnswer::Refused;
        }
        meta.isr = proposal.isr.iter().map(|(id, _)| *id).collect();
        meta.partition_epoch += 1;
        self.history.push(meta.clone());
        IsrAnswer::Committed {
            leader_epoch: meta.leader_epoch,
            partition_epoch: meta.partition_epoch,
            isr: meta.isr,
        }
    }
}
