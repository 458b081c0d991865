//! Subscriptions and instances: what a client is asked for, and what it may do when.
//!
//! The rules are those of Apache Kafka 4.3.1; `tests/data/trace.tsv` holds them to Kafka's own
//! manager. An instance is made by its first request, made anew when the subscriptions changed, and
//! forgotten when its connection ends, when it is silent for long, or when there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_machine::Mono;
use ottla_wire::api::get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse;
use ottla_wire::api::push_telemetry::PushTelemetryRequest;
use ottla_wire::record::{Compression, crc32c};
use ottla_wire::{ErrorCode, Uuid};

use crate::subscription::Subscription;

/// Most instances that are known at a time. Past it the one that is silent longest is forgotten.
pub const MAX_INSTANCES: usize = 16_384;

/// The least time after which a silent instance is forgotten.
const SILENCE_MS: u64 = 60_000;

/// How many intervals an instance may be silent.
const SILENT_INTERVALS: u64 = 3;

/// The prefix of all metrics.
const ALL_METRICS: &str = "*";

/// What metrics may be compressed with, the best first.
const ACCEPTED: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Names the connection.
    pub connection: u64,
    /// What the client calls itself.
    pub id: &'a str,
    /// The name of its library, if it said so.
    pub software_name: Option<&'a str>,
    /// The version of its library, if it said so.
    pub software_version: Option<&'a str>,
    /// The address it comes from.
    pub address: &'a str,
    /// The port it comes from.
    pub port: u16,
}

/// What a client is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// The instance, perhaps a new one.
    pub instance: Uuid,
    /// Names what is asked of this instance; another one when that changes.
    pub subscription_id: i32,
    /// How often to push, in milliseconds.
    pub interval_ms: i32,
    /// Prefixes of the metrics asked for: `*` alone is all, none is none.
    pub metrics: Vec<String>,
}

impl Subscribed {
    /// The answer to the client.
    #[must_use]
    pub fn response(self, max_bytes: i32) -> GetTelemetrySubscriptionsResponse {
        GetTelemetrySubscriptionsResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            client_instance_id: self.instance,
            subscription_id: self.subscription_id,
            accepted_compression_types: ACCEPTED.map(|codec| codec as i8).to_vec(),
            push_interval_ms: self.interval_ms,
            telemetry_max_bytes: max_bytes,
            delta_temporality: true,
            requested_metrics: self.metrics,
        }
    }
}

/// A push that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What the metrics are compressed with.
    pub codec: Compression,
}

/// What several subscriptions ask together.
#[derive(Debug)]
struct Merged {
    metrics: BTreeSet<String>,
    interval_ms: i32,
}

#[derive(Debug)]
struct Instance {
    asked: Arc<Merged>,
    subscription_id: i32,
    /// The version of the subscriptions that it was made under.
    version: u64,
    got: Option<Mono>,
    pushed: Option<Mono>,
    terminating: bool,
    last_error: ErrorCode,
    connection: u64,
    /// When it was last heard of, in the order of requests.
    turn: u64,
    expires: Mono,
}

/// All subscriptions and instances.
#[derive(Debug, Default)]
pub struct Instances {
    subscriptions: BTreeMap<String, Subscription>,
    version: u64,
    /// What was merged under this version, by the names of the subscriptions.
    merged: BTreeMap<Vec<String>, Arc<Merged>>,
    instances: BTreeMap<Uuid, Instance>,
    turns: u64,
    /// Instances by their last request.
    by_turn: BTreeMap<u64, Uuid>,
    by_expiry: BTreeSet<(Mono, Uuid)>,
    by_connection: BTreeSet<(u64, Uuid)>,
    /// Instances that were forgotten since this was last asked.
    forgotten: Vec<Uuid>,
}

impl Instances {
    /// Sets a subscription, or removes it.
    pub fn configure(&mut self, name: &str, subscription: Option<Subscription>) {
        let known = match subscription {
            Some(subscription) => {
                self.subscriptions.insert(name.to_owned(), subscription);
                true
            }
            None => self.subscriptions.remove(name).is_some(),
        };
        if known {
            self.version += 1;
            self.merged.clear();
        }
    }

    /// GetTelemetrySubscriptions of an instance, or with the zero id of one that gets `fresh`.
    ///
    /// # Errors
    /// THROTTLING_QUOTA_EXCEEDED when it asks again too early.
    pub fn get(
        &mut self,
        now: Mono,
        client: Client<'_>,
        asked: Uuid,
        fresh: Uuid,
    ) -> Result<Subscribed, ErrorCode> {
        let id = if asked.is_zero() { fresh } else { asked };
        let instance = self.heard(now, client, id);
        let interval = interval(instance.asked.interval_ms);
        // What these errors tell a client to do is to ask again.
        let told_to = [ErrorCode::UNKNOWN_SUBSCRIPTION_ID, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE];
        if instance.got.max(instance.pushed).is_none_or(|last| now.since(last) >= interval) {
            instance.got = Some(now);
        } else if !told_to.contains(&instance.last_error) {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        instance.last_error = ErrorCode::NONE;
        Ok(Subscribed {
            instance: id,
            subscription_id: instance.subscription_id,
            interval_ms: instance.asked.interval_ms,
            metrics: instance.asked.metrics.iter().cloned().collect(),
        })
    }

    /// PushTelemetry: whether the metrics are taken. `max_bytes` bounds them as they were sent.
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
        let id = request.client_instance_id;
        if id.is_zero() || id == Uuid::ONE {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let instance = self.heard(now, client, id);
        let outcome = instance.check(now, request, max_bytes);
        instance.terminating = request.terminating;
        instance.last_error = outcome.err().unwrap_or(ErrorCode::NONE);
        outcome
    }

    /// The metrics of a push that was taken could not be read.
    pub fn unreadable(&mut self, id: Uuid) {
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.last_error = ErrorCode::INVALID_RECORD;
        }
    }

    /// How long an instance may be silent, in milliseconds; `None` when it is not known (any more).
    #[must_use]
    pub fn patience_ms(&self, id: Uuid) -> Option<u64> {
        Some(patience_ms(self.instances.get(&id)?.asked.interval_ms))
    }

    /// A connection ended: the instances that were last heard of by it are forgotten.
    pub fn disconnected(&mut self, connection: u64) {
        let of_it = (connection, Uuid::ZERO)..=(connection, Uuid::from_u128(u128::MAX));
        let gone: Vec<Uuid> = self.by_connection.range(of_it).map(|(_, id)| *id).collect();
        for id in gone {
            self.forget(id);
        }
    }

    /// Forgets the instances that were silent for too long.
    pub fn expire(&mut self, now: Mono) {
        while let Some((_, id)) = self.by_expiry.first().copied().filter(|(at, _)| *at <= now) {
            self.forget(id);
        }
    }

    /// The instances that were forgotten since the last call.
    pub fn take_forgotten(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.forgotten)
    }

    /// How many instances are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether no instance is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// The instance of a request, made (anew) where needed, with its silence over.
    fn heard(&mut self, now: Mono, client: Client<'_>, id: Uuid) -> &mut Instance {
        self.expire(now);
        let mut instance = match self.unlink(id) {
            Some(known) if known.version == self.version => known,
            _ => self.make(id, client),
        };
        while self.instances.len() >= MAX_INSTANCES {
            let Some((_, silent)) = self.by_turn.first_key_value() else { break };
            self.forget(*silent);
        }
        self.turns += 1;
        instance.turn = self.turns;
        instance.connection = client.connection;
        instance.expires = now.plus_ms(patience_ms(instance.asked.interval_ms));
        self.by_turn.insert(instance.turn, id);
        self.by_expiry.insert((instance.expires, id));
        self.by_connection.insert((instance.connection, id));
        self.instances.entry(id).insert_entry(instance).into_mut()
    }

    fn make(&mut self, id: Uuid, client: Client<'_>) -> Instance {
        let meant = self.subscriptions.iter().filter(|(_, s)| s.is_for(id, &client));
        let names: Vec<String> = meant.map(|(name, _)| name.clone()).collect();
        let asked = match self.merged.get(&names) {
            Some(merged) => Arc::clone(merged),
            None => {
                let merged = Arc::new(self.merge(&names));
                if self.merged.len() >= MAX_INSTANCES {
                    self.merged.clear();
                }
                self.merged.insert(names, Arc::clone(&merged));
                merged
            }
        };
        Instance {
            subscription_id: subscription_id(&asked, id),
            asked,
            version: self.version,
            got: None,
            pushed: None,
            terminating: false,
            last_error: ErrorCode::NONE,
            connection: client.connection,
            turn: 0,
            expires: Mono::default(),
        }
    }

    /// The shortest interval and all prefixes; what asks for everything takes the others' place.
    fn merge(&self, names: &[String]) -> Merged {
        let of = || names.iter().filter_map(|name| self.subscriptions.get(name));
        let mut metrics: BTreeSet<String> = of().flat_map(|s| s.metrics.iter().cloned()).collect();
        if metrics.contains(ALL_METRICS) {
            metrics = BTreeSet::from([ALL_METRICS.to_owned()]);
        }
        let rarest = default_interval_ms();
        let interval_ms = of().map(|s| s.interval_ms).fold(rarest, i32::min);
        Merged { metrics, interval_ms }
    }

    fn forget(&mut self, id: Uuid) {
        if self.unlink(id).is_some() {
            self.forgotten.push(id);
        }
    }

    fn unlink(&mut self, id: Uuid) -> Option<Instance> {
        let instance = self.instances.remove(&id)?;
        self.by_turn.remove(&instance.turn);
        self.by_expiry.remove(&(instance.expires, id));
        self.by_connection.remove(&(instance.connection, id));
        Some(instance)
    }
}

impl Instance {
    fn check(
        &mut self,
        now: Mono,
        request: &PushTelemetryRequest,
        max_bytes: usize,
    ) -> Result<Pushed, ErrorCode> {
        if self.terminating {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let interval = interval(self.asked.interval_ms);
        let due = self.pushed.is_none_or(|last| now.since(last) >= interval);
        if self.got > self.pushed || due {
            self.pushed = Some(now);
        } else if !request.terminating {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        if request.subscription_id != self.subscription_id {
            return Err(ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
        }
        let codec = u8::try_from(request.compression_type).ok();
        let codec = codec.and_then(|code| Compression::from_id(code).ok());
        let codec = codec.ok_or(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)?;
        if request.metrics.len() > max_bytes {
            return Err(ErrorCode::TELEMETRY_TOO_LARGE);
        }
        Ok(Pushed { codec })
    }
}

/// The interval where no subscription says a shorter one: the default of its key.
fn default_interval_ms() -> i32 {
    let none = ottla_config::ClientMetricsConfig::parse(&BTreeMap::new());
    none.map_or(i32::MAX, |config| config.interval_ms)
}

fn interval(ms: i32) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

fn patience_ms(interval_ms: i32) -> u64 {
    interval(interval_ms).saturating_mul(SILENT_INTERVALS).max(SILENCE_MS)
}

/// Kafka's checksum of what is asked of whom. Where several prefixes are asked for its order of them
/// is that of a hash, so that a cluster of both kinds of brokers would make clients ask again.
fn subscription_id(asked: &Merged, id: Uuid) -> i32 {
    let metrics: Vec<&str> = asked.metrics.iter().map(String::as_str).collect();
    let text = format!("[{}]{}", metrics.join(", "), asked.interval_ms);
    let sum = crc32c(text.as_bytes());
    let id = u128::from_be_bytes(*id.as_bytes());
    // Java's hash of an id: its four words, one over the other.
    let hash = (0..4).fold(0, |hash, word| hash ^ (id >> (32 * word)) as u32);
    (sum ^ hash) as i32
}
