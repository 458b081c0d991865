//! What a restart of the controller may lose.

use crate::partitions::Chore;
use crate::rng::Rng;
use crate::settings::Settings;
use ottla_machine::Mono;
use ottla_metadata::Image;
use std::collections::BTreeMap;

/// When a broker was last heard of, and how far it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    /// The registration this is about; another epoch makes it void.
    pub(crate) epoch: i64,
    pub(crate) at: Mono,
    /// The last offset of the metadata log that the broker said it has applied.
    pub(crate) metadata_offset: i64,
    /// Whether it was really heard of since this controller came to power.
    pub(crate) heard: bool,
    /// The offset at which its controlled shutdown moved the last leaders away.
    pub(crate) shutdown_offset: Option<i64>,
}

/// The controller's settings, its source of randomness, and when each broker was last heard of.
#[derive(Clone, Debug)]
pub struct Waits {
    settings: Settings,
    pub(crate) rng: Rng,
    contacts: BTreeMap<i32, Contact>,
    chores: BTreeMap<Chore, Mono>,
}

impl Default for Waits {
    fn default() -> Self {
        Self::new(Settings::default(), [0; 4])
    }
}

impl Waits {
    /// Waits with these settings and this seed, which must be from a good source: topic ids come of it.
    #[must_use]
    pub fn new(settings: Settings, seed: [u64; 4]) -> Self {
        Self { settings, rng: Rng::new(seed), contacts: BTreeMap::new(), chores: BTreeMap::new() }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts other settings in place, after a change at run time.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(crate) fn contact(&self, broker: i32, epoch: i64) -> Option<&Contact> {
        self.contacts.get(&broker).filter(|c| c.epoch == epoch)
    }

    pub(crate) fn touch(&mut self, broker: i32, epoch: i64, at: Mono, metadata_offset: i64) {
        let kept = self.contact(broker, epoch).and_then(|c| c.shutdown_offset);
        let contact = Contact { epoch, at, metadata_offset, heard: true, shutdown_offset: kept };
        self.contacts.insert(broker, contact);
    }

    /// Sets or clears the offset of a broker's controlled shutdown.
    pub(crate) fn set_shutdown_offset(&mut self, broker: i32, offset: Option<i64>) {
        if let Some(contact) = self.contacts.get_mut(&broker) {
            contact.shutdown_offset = offset;
        }
    }

    pub(crate) fn forget(&mut self, broker: i32) {
        self.contacts.remove(&broker);
    }

    /// Whether a broker was heard of within the session timeout.
    pub(crate) fn has_session(&self, broker: i32, epoch: i64, now: Mono) -> bool {
        let timeout = self.settings.session_timeout_ms;
        self.contact(broker, epoch).is_some_and(|c| now.since(c.at) < timeout)
    }

    /// Begins to watch brokers that are not fenced and not watched yet, as if heard of now; forgets those gone.
    pub(crate) fn watch(&mut self, image: &Image, now: Mono) {
        self.contacts.retain(|id, c| image.broker(*id).is_some_and(|b| b.epoch == c.epoch));
        for broker in image.brokers().filter(|b| !b.fenced) {
            if self.contact(broker.id, broker.epoch).is_none() {
                let contact = Contact {
                    epoch: broker.epoch,
                    at: now,
                    metadata_offset: -1,
                    heard: false,
                    shutdown_offset: None,
                };
                self.contacts.insert(broker.id, contact);
            }
        }
    }

    /// The lowest offset that any broker in service has applied.
    pub(crate) fn lowest_active_offset(&self, image: &Image) -> i64 {
        let active = image.brokers().filter(|b| b.is_active());
        let offsets = active.map(|b| self.contact(b.id, b.epoch).map_or(-1, |c| c.metadata_offset));
        offsets.min().unwrap_or(i64::MAX)
    }

    /// Brokers in service whose session has run out, the longest silent first.
    pub(crate) fn expired(&self, image: &Image, now: Mono) -> Vec<i32> {
        let silent = image.brokers().filter(|b| !b.fenced && !self.has_session(b.id, b.epoch, now));
        let mut silent: Vec<_> =
            silent.map(|b| (self.contact(b.id, b.epoch).map(|c| c.at), b.id)).collect();
        silent.sort_unstable();
        silent.into_iter().map(|(_, id)| id).collect()
    }

    /// Makes sure that each chore that is wanted has a time, and no other.
    pub(crate) fn plan_chores(&mut self, now: Mono) {
        for chore in Chore::ALL {
            match chore.every_ms(&self.settings) {
                Some(every_ms) => {
                    self.chores.entry(chore).or_insert_with(|| now.plus_ms(every_ms));
                }
                None => {
                    self.chores.remove(&chore);
                }
            }
        }
    }

    /// The chores that are due, each put off to its next time.
    pub(crate) fn take_due_chores(&mut self, now: Mono) -> Vec<Chore> {
        let due = self.chores.iter().filter(|(_, at)| **at <= now);
        let due: Vec<Chore> = due.map(|(chore, _)| *chore).collect();
        due.iter().for_each(|chore| _ = self.chores.remove(chore));
        self.plan_chores(now);
        due
    }

    /// Makes a chore due at once, because it was not finished.
    pub(crate) fn go_on(&mut self, chore: Chore, now: Mono) {
        self.chores.insert(chore, now);
    }

    /// When the next chore is due.
    pub(crate) fn next_chore(&self) -> Option<Mono> {
        self.chores.values().min().copied()
    }

    /// When the next session runs out.
    pub(crate) fn next_expiry(&self, image: &Image) -> Option<Mono> {
        let contacts = image.brokers().filter(|b| !b.fenced);
        let contacts = contacts.filter_map(|b| self.contact(b.id, b.epoch));
        contacts.map(|c| c.at.plus_ms(self.settings.session_timeout_ms)).min()
    }
}
