//! The last value of each series of each instance, bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_machine::Mono;
use ottla_wire::Uuid;

use crate::payload::cut;
use crate::point::{Point, Shape, Temporality};
use crate::text;

/// Most series of one instance, and most values taken of one push.
pub const MAX_SERIES: usize = 4096;

/// Most bytes of all series. Past it the instance that has been silent longest is forgotten.
pub const MAX_STORE_BYTES: usize = 64 << 20;

/// What a series is taken to cost beyond its texts: keys, values and their share of the maps.
const SERIES_OVERHEAD: usize = 160;

/// The last values of all instances.
#[derive(Debug, Default)]
pub struct Store {
    instances: BTreeMap<Uuid, Arc<Held>>,
    /// Instances by their last push, which a running number names.
    order: BTreeMap<u64, Uuid>,
    pushes: u64,
    bytes: usize,
}

/// What one instance said.
#[derive(Clone, Debug, Default)]
struct Held {
    /// The labels that say whose series these are.
    labels: String,
    series: BTreeMap<Name, Sample>,
    pushed: u64,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    family: String,
    suffix: &'static str,
    labels: String,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    shape: Shape,
    value: f64,
    at: Mono,
}

impl Name {
    fn cost(&self) -> usize {
        self.family.len() + self.labels.len() + SERIES_OVERHEAD
    }
}

impl Store {
    /// Takes what an instance pushed. What it did not say again for `stale_ms` is forgotten.
    /// Answers how many values found no place.
    pub fn record(
        &mut self,
        now: Mono,
        instance: Uuid,
        client_id: &str,
        points: Vec<Point>,
        stale_ms: u64,
    ) -> usize {
        self.pushes += 1;
        let mut held = self.take(instance);
        held.pushed = self.pushes;
        held.labels = format!(
            "client_id=\"{}\",client_instance_id=\"{instance}\"",
            text::escape(cut(client_id))
        );
        held.series.retain(|_, sample| now.since(sample.at) < stale_ms);
        held.bytes = held.labels.len() + held.series.keys().map(Name::cost).sum::<usize>();
        let mut left_out = 0;
        for point in points {
            if !held.put(now, point) {
                left_out += 1;
            }
        }
        while self.bytes + held.bytes > MAX_STORE_BYTES {
            let Some((_, silent)) = self.order.first_key_value() else { break };
            self.forget(*silent);
        }
        self.bytes += held.bytes;
        self.order.insert(held.pushed, instance);
        self.instances.insert(instance, Arc::new(held));
        left_out
    }

    /// Forgets an instance.
    pub fn forget(&mut self, instance: Uuid) {
        self.take(instance);
    }

    fn take(&mut self, instance: Uuid) -> Held {
        let held = self.instances.remove(&instance).map(Arc::unwrap_or_clone).unwrap_or_default();
        self.order.remove(&held.pushed);
        self.bytes = self.bytes.saturating_sub(held.bytes);
        held
    }

    /// How many instances have said something.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances.len()
    }

    /// The bytes that count against [`MAX_STORE_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The series as they are now. It costs little; the text can be written where no one waits.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.instances.values().cloned().collect())
    }
}

/// The series of all instances at one time.
#[derive(Debug)]
pub struct Snapshot(Vec<Arc<Held>>);

impl Snapshot {
    /// All series in Prometheus' text format, those of one family together.
    #[must_use]
    pub fn text(&self) -> String {
        type Row<'a> = (&'a Name, &'a str, f64);
        let mut families: BTreeMap<&str, (Option<Shape>, Vec<Row<'_>>)> = BTreeMap::new();
        for held in &self.0 {
            for (name, sample) in &held.series {
                let family = families
                    .entry(&name.family)
                    .or_insert_with(|| (Some(sample.shape), Vec::new()));
                if family.0 != Some(sample.shape) {
                    family.0 = None;
                }
                family.1.push((name, &held.labels, sample.value));
            }
        }
        let mut out = String::new();
        for (family, (shape, rows)) in families {
            text::family(&mut out, family, shape);
            for (name, own, value) in rows {
                text::sample(&mut out, family, name.suffix, [own, &name.labels], value);
            }
        }
        out
    }
}

impl Held {
    /// Takes one value. Answers whether there was a place for it.
    fn put(&mut self, now: Mono, point: Point) -> bool {
        let Point { family, shape, suffix, labels, temporality, value } = point;
        let name = Name { family, suffix, labels };
        if let Some(sample) = self.series.get_mut(&name) {
            let grows = temporality == Temporality::Delta && sample.shape == shape;
            sample.value = if grows { sample.value + value } else { value };
            (sample.shape, sample.at) = (shape, now);
            return true;
        }
        let cost = name.cost();
        if self.series.len() >= MAX_SERIES || self.bytes + cost > MAX_STORE_BYTES {
            return false;
        }
        self.bytes += cost;
        self.series.insert(name, Sample { shape, value, at: now });
        true
    }
}

#[cfg(test)]
mod tests;
