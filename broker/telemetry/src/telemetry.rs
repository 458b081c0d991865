//! Subscriptions, instances and their last values, put together.

use ottla_machine::Mono;
use ottla_wire::api::push_telemetry::PushTelemetryRequest;
use ottla_wire::{ErrorCode, Uuid};

use crate::instances::{Client, Instances, Pushed, Subscribed};
use crate::payload::Points;
use crate::store::{Snapshot, Store};
use crate::subscription::Subscription;

/// All that a node knows of client telemetry. What is forgotten of an instance is forgotten of its
/// values.
#[derive(Debug, Default)]
pub struct Telemetry {
    instances: Instances,
    store: Store,
}

impl Telemetry {
    /// Sets a subscription, or removes it.
    pub fn configure(&mut self, name: &str, subscription: Option<Subscription>) {
        self.instances.configure(name, subscription);
    }

    /// GetTelemetrySubscriptions; see [`Instances::get`].
    ///
    /// # Errors
    /// The code to answer with.
    pub fn get(
        &mut self,
        now: Mono,
        client: Client<'_>,
        asked: Uuid,
        fresh: Uuid,
    ) -> Result<Subscribed, ErrorCode> {
        let answer = self.instances.get(now, client, asked, fresh);
        self.settle();
        answer
    }

    /// PushTelemetry up to where its metrics are read; see [`Instances::push`].
    ///
    /// # Errors
    /// The code to answer with.
    pub fn push(
        &mut self,
        now: Mono,
        client: Client<'_>,
        request: &PushTelemetryRequest,
        max_bytes: usize,
    ) -> Result<Pushed, ErrorCode> {
        let answer = self.instances.push(now, client, request, max_bytes);
        self.settle();
        answer
    }

    /// Takes the metrics of a push that was taken, if its instance is still known. Answers how many
    /// values found no place.
    pub fn record(&mut self, now: Mono, id: Uuid, client_id: &str, points: Points) -> usize {
        match self.instances.patience_ms(id) {
            Some(patience) => {
                let left_out = self.store.record(now, id, client_id, points.points, patience);
                left_out + points.left_out
            }
            None => 0,
        }
    }

    /// The metrics of a push that was taken could not be read.
    pub fn unreadable(&mut self, id: Uuid) {
        self.instances.unreadable(id);
    }

    /// A connection ended.
    pub fn disconnected(&mut self, connection: u64) {
        self.instances.disconnected(connection);
        self.settle();
    }

    /// The last values of all instances that are alive.
    pub fn snapshot(&mut self, now: Mono) -> Snapshot {
        self.instances.expire(now);
        self.settle();
        self.store.snapshot()
    }

    /// The instances known.
    #[must_use]
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// Their last values.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Forgets the values of instances that are forgotten.
    fn settle(&mut self) {
        for id in self.instances.take_forgotten() {
            self.store.forget(id);
        }
    }
}
