//! One partition of a fetcher.

use std::sync::Arc;

use bytes::Bytes;
use ottla_log::LogError;
use ottla_machine::Mono;
use ottla_replica::{Cut, EpochEnd, FetchAnswer, FetchAsk, Follower, Next, Patience};
use ottla_wire::api::fetch::PartitionData;
use ottla_wire::{ErrorCode, Records};
use tracing::{debug, warn};

use crate::cluster::Cluster;
use crate::dirs::LogDir;
use crate::error::EngineError;
use crate::partition::{FollowError, Local, Partition, Sent};
use crate::wait::AckWait;

/// What must be done before the leader is asked again.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Flushes under way.
    pub(super) flushes: Vec<AckWait>,
    /// Directories whose recovery points must be written.
    pub(super) dirs: Vec<Arc<LogDir>>,
}

/// A partition, its machine, and what the leader's session has of it.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) partition: Arc<Partition>,
    pub(super) follower: Follower,
    /// What the leader was asked last, and by which request.
    pub(super) asked: Option<(u64, FetchAsk)>,
    /// Whether the leader had more when it answered last.
    lags: bool,
}

impl Followed {
    /// Begins to follow. What the leader's session has of it from before stays known.
    pub(super) fn new(
        partition: Arc<Partition>,
        epoch: i32,
        patience: Patience,
        asked: Option<(u64, FetchAsk)>,
        before: &mut Before,
    ) -> Self {
        let follower = Follower::new(epoch, patience);
        let mut this = Self { partition, follower, asked, lags: true };
        let log = this.partition.log();
        if let Some(cut) = Follower::first_cut(&Local(&log)) {
            this.cut(cut, Mono(0), before);
        }
        this
    }

    /// For how long nothing more may be fetched, in milliseconds, because too much was.
    pub(super) fn has_to_wait(&self, cluster: &Cluster, now: Mono) -> Option<u64> {
        let wait = cluster.fetching.wait(now)?;
        (self.lags && cluster.limits_fetching(&self.partition)).then_some(wait)
    }

    /// What to ask the leader now, if anything.
    pub(super) fn ask(&self, now: Mono) -> Option<FetchAsk> {
        self.follower.ask(&Local(&self.partition.log()), now)
    }

    /// Takes in what the leader answered to request `serial`. Whether it must be asked where its
    /// log begins and ends.
    pub(super) fn answered(
        &mut self,
        serial: u64,
        data: PartitionData,
        now: Mono,
        before: &mut Before,
    ) -> bool {
        let Some((_, asked)) = self.asked.filter(|(set_by, _)| *set_by <= serial) else {
            return false;
        };
        let diverging = &data.diverging_epoch;
        let diverging = (diverging.epoch >= 0 || diverging.end_offset >= 0)
            .then_some(EpochEnd { epoch: diverging.epoch, end: diverging.end_offset });
        let answer = FetchAnswer {
            error: data.error_code,
            high_watermark: data.high_watermark,
            start_offset: data.log_start_offset,
            diverging,
        };
        let log = self.partition.log();
        match self.follower.answered(&asked, &answer, &Local(&log), now) {
            Next::Nothing => {
                if data.error_code != ErrorCode::NONE {
                    self.tell(data.error_code);
                }
            }
            Next::Append => {
                let records = match data.records {
                    Some(Records::Bytes(bytes)) => bytes,
                    Some(Records::Hole(_)) | None => Bytes::new(),
                };
                let (high_watermark, start_offset) = (data.high_watermark, data.log_start_offset);
                self.append(&Sent { records, high_watermark, start_offset }, now, before);
            }
            Next::Cut(cut) => self.cut(cut, now, before),
            Next::Ask => return true,
        }
        false
    }

    /// Takes in where the leader's log begins and ends.
    pub(super) fn learned(&mut self, start: i64, end: i64, now: Mono, before: &mut Before) {
        let log = self.partition.log();
        if let Some(cut) = self.follower.learned(start, end, &Local(&log), now) {
            self.cut(cut, now, before);
        }
    }

    fn append(&mut self, sent: &Sent, now: Mono, before: &mut Before) {
        match self.partition.append_sent(self.follower.epoch(), sent) {
            Ok(taken) => {
                self.follower.fine();
                self.lags = sent.high_watermark > self.partition.log().end_offset();
                let cluster = self.partition.cluster();
                if cluster.limits_fetching(&self.partition) {
                    cluster.fetching.spend(taken.bytes, now);
                }
                before.flushes.extend(taken.flush);
            }
            Err(error) => self.failed(&error, now),
        }
    }

    fn cut(&mut self, cut: Cut, now: Mono, before: &mut Before) {
        match self.partition.cut(self.follower.epoch(), cut) {
            Ok(dir) => {
                if !before.dirs.iter().any(|known| Arc::ptr_eq(known, &dir)) {
                    before.dirs.push(dir);
                }
            }
            Err(error) => self.failed(&error, now),
        }
    }

    fn failed(&mut self, error: &FollowError, now: Mono) {
        let (topic, partition) = (self.partition.topic(), self.partition.id().partition);
        match error {
            FollowError::Over => self.follower.give_up(),
            FollowError::Engine(EngineError::Offline | EngineError::NotHere) => {
                self.follower.give_up();
            }
            FollowError::Engine(EngineError::Log(LogError::Closed)) => {
                debug!(%topic, partition, "the log is closed: not followed any more");
                self.follower.give_up();
            }
            FollowError::Engine(error) => {
                warn!(%topic, partition, %error, "cannot append what the leader sent");
                self.follower.failed(now);
            }
        }
    }

    fn tell(&self, error: ErrorCode) {
        let (topic, partition) = (self.partition.topic(), self.partition.id().partition);
        debug!(%topic, partition, %error, "the leader refuses a fetch");
    }
}
