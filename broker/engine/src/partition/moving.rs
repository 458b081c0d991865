//! A partition that moves to another log directory while it is served.
//!
//! Its log is copied into a future log, in pieces and without a lock. Once the copy has everything,
//! the metadata are told of the new directory; then the rest is copied under the role's lock, which
//! appends take too, and the copy takes the log's place. The directory's new name survives a power
//! loss before the first append to it is acknowledged.
//!
//! What a crash leaves is told apart by names alone: a log and its future one are a move that goes
//! on; a future log by itself, where the metadata say the partition is, is the log; of two logs the
//! one is right where the metadata say it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::log::{AtLeast, Truncated};
use ottla_log::names::DirKind;
use ottla_log::{Log, LogError};
use ottla_wire::Uuid;
use tracing::{info, warn};

use super::{Here, Partition, Retire, blame};
use crate::dirs::{Counted, LogDir};
use crate::error::EngineError;
use crate::flush::Target;

/// How many pieces are copied at most while appends wait, the first time. Where the disk is slower than those who
/// write, more than that has come each time: then it is twice as many the next time.
const LAST_PIECES: usize = 4;

/// How often it is doubled: appends wait for 128 MB at most.
const MOST_DOUBLINGS: u32 = 5;

/// Bytes copied at once while appends wait; a larger batch makes it more.
const LAST_PIECE: u32 = 1 << 20;

/// A copy of a partition's log in another directory, which is to take its place.
#[derive(Debug)]
pub struct Future {
    log: Arc<Log>,
    dir: Counted,
    /// Whether the metadata were told of the directory.
    told: AtomicBool,
    /// How often too much was left to be copied while appends wait.
    attempts: AtomicU32,
}

impl Future {
    fn new(log: Arc<Log>, dir: &Arc<LogDir>) -> Arc<Self> {
        let dir = Counted::new(Arc::clone(dir));
        Arc::new(Self { log, dir, told: AtomicBool::new(false), attempts: AtomicU32::new(0) })
    }

    /// The copy.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The directory it is in.
    #[must_use]
    pub fn dir(&self) -> &Arc<LogDir> {
        self.dir.get()
    }

    pub(crate) fn was_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn set_told(&self) {
        self.told.store(true, Ordering::Release);
    }
}

/// Whether a partition is on its way.
#[derive(Debug, Default)]
pub(super) enum Moving {
    /// It is not.
    #[default]
    No,
    /// It is.
    To(Arc<Future>),
    /// It is not, and will not be: it is gone, or its directory failed.
    Never,
}

/// Whether the log may be compacted. A copy of a log that is compacted meanwhile would be neither
/// the one nor the other.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    running: bool,
    paused: bool,
}

/// What became of the wish to move.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The move begins.
    Yes,
    /// It is under way to there already, or the log is there.
    No,
    /// The log is there; a move away from there was given up, of which the metadata may know.
    Recall,
}

/// What a step of copying did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// It copied so many bytes; there may be more.
    Some(u64),
    /// It copied so many bytes, to where the log ended when it began; what came meanwhile is little.
    /// A copy of a log that is always written to would never find nothing left.
    All(u64),
    /// The log is being compacted, or there are too few open files: later.
    NotYet,
    /// The move was given up, or is done.
    Over,
}

/// Whether records may be appended to a log while it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appends {
    GoOn,
    /// The role's lock is held.
    Wait,
}

impl Here {
    pub(super) fn target(&self) -> Target {
        Target { log: Arc::clone(&self.log), dir: Arc::clone(self.dir.get()) }
    }
}

impl Partition {
    /// The copy that is being made of its log, if it moves to another directory.
    #[must_use]
    pub fn future(&self) -> Option<Arc<Future>> {
        match &*self.moving.lock() {
            Moving::To(future) => Some(Arc::clone(future)),
            Moving::No | Moving::Never => None,
        }
    }

    /// Calls `say` with the directory of its log, unless it moves to another one. No move begins before that returns.
    pub(crate) fn at_rest(&self, say: impl FnOnce(Uuid)) {
        let moving = self.moving.lock();
        if !matches!(&*moving, Moving::To(_)) {
            say(self.dir().id());
        }
    }

    /// Its log, and which directory is to blame if what is done to that fails.
    pub(crate) fn flush_target(&self) -> Target {
        self.here.load().target()
    }

    pub(crate) fn can_compact(&self) -> bool {
        let now = self.compaction.lock();
        !now.running && !now.paused
    }

    /// Takes leave to compact; false if there is none now.
    pub(crate) fn begin_compaction(&self) -> bool {
        let mut now = self.compaction.lock();
        let may = !now.running && !now.paused;
        now.running |= may;
        may
    }

    pub(crate) fn end_compaction(&self) {
        self.compaction.lock().running = false;
    }

    fn log_name(&self) -> TopicPartition {
        TopicPartition::new(&*self.topic, self.id.partition)
    }

    /// Begins to move to `dir`, giving up a move to elsewhere. `unique` tells its copy from others.
    ///
    /// # Errors
    /// That the partition or the directory is offline.
    pub(crate) fn begin_move(&self, dir: &Arc<LogDir>, unique: u128) -> Result<Begun, EngineError> {
        let mut moving = self.moving.lock();
        self.check_open()?;
        let mut stays = Begun::No;
        match &*moving {
            Moving::Never => return Err(EngineError::NotHere),
            Moving::To(future) if Arc::ptr_eq(future.dir(), dir) => return Ok(Begun::No),
            Moving::To(future) => {
                stays = Begun::Recall;
                self.drop_future(future);
                *moving = Moving::No;
                self.compaction.lock().paused = false;
            }
            Moving::No => {}
        }
        if Arc::ptr_eq(&self.dir(), dir) {
            return Ok(stays);
        }
        if !dir.is_online() {
            return Err(EngineError::Offline);
        }
        let (name, topic_id) = (self.log_name(), self.id.topic.to_string());
        let now = self.core.clock().wall_ms();
        let settings = self.log().settings();
        let made = dir
            .files()
            .create_log(&name, DirKind::Future, unique, Some(&topic_id), settings, now)
            .and_then(|log| dir.files().write_checkpoints().map(|()| log))
            .inspect_err(|e| dir.judge(e))?;
        info!(log = %name, to = %dir.path().display(), "moving to another log directory");
        *moving = Moving::To(Future::new(made, dir));
        self.compaction.lock().paused = true;
        Ok(Begun::Yes)
    }

    /// Goes on with a move that a restart interrupted.
    pub(crate) fn resume_move(&self, log: Arc<Log>, dir: &Arc<LogDir>) {
        info!(log = %log.name(), to = %dir.path().display(), "going on with a move");
        *self.moving.lock() = Moving::To(Future::new(log, dir));
        self.compaction.lock().paused = true;
    }

    /// Gives up a move into `dir`; false if there is none. The metadata may know of it.
    pub(crate) fn cancel_move(&self, dir: &Arc<LogDir>) -> bool {
        let mut moving = self.moving.lock();
        let Moving::To(future) = &*moving else { return false };
        if !Arc::ptr_eq(future.dir(), dir) {
            return false;
        }
        self.drop_future(future);
        *moving = Moving::No;
        self.compaction.lock().paused = false;
        true
    }

    /// The partition ends: so does its move. Of a partition that is gone the copy goes too; of one
    /// whose directory failed it stays on the disk, for when that is back.
    pub(super) fn end_move(&self, why: Retire) {
        let mut moving = self.moving.lock();
        if let Moving::To(future) = &*moving {
            match why {
                Retire::Gone => self.drop_future(future),
                Retire::Failed => future.log.abandon(),
            }
        }
        *moving = Moving::Never;
    }

    fn drop_future(&self, future: &Future) {
        let now = self.core.clock().wall_ms();
        let (name, dir) = (self.log_name(), future.dir());
        info!(log = %name, to = %dir.path().display(), "the move is given up");
        if !dir.is_online() {
            future.log.abandon();
        } else if let Err(e) = dir.files().delete_log(&name, DirKind::Future, rand::random(), now) {
            warn!(log = %name, error = %e, "cannot delete the copy of a move that was given up");
            dir.judge(&e);
        }
    }

    /// Copies at most about `most` bytes into `future`. Blocks on the disk, but nobody else.
    ///
    /// # Errors
    /// What went wrong, when the directory to blame is out of service already.
    pub(crate) fn copy_step(&self, future: &Future, most: u32) -> Result<Copied, EngineError> {
        if !self.is_moving_to(future) {
            return Ok(Copied::Over);
        }
        if self.compaction.lock().running {
            return Ok(Copied::NotYet);
        }
        let here = self.here.load_full();
        match self.copy(&here, future, most, Appends::GoOn) {
            Err(_) if !self.is_moving_to(future) => Ok(Copied::Over),
            // Records went from the beginning meanwhile; the next step begins behind them.
            Err(EngineError::Log(LogError::OffsetOutOfRange { .. })) => Ok(Copied::Some(0)),
            Err(EngineError::Log(e)) if e.is_out_of_resources() => Ok(Copied::NotYet),
            other => other,
        }
    }

    fn is_moving_to(&self, future: &Future) -> bool {
        match &*self.moving.lock() {
            Moving::To(now) => std::ptr::eq(&raw const **now, future),
            Moving::No | Moving::Never => false,
        }
    }

    fn copy(
        &self,
        here: &Here,
        future: &Future,
        most: u32,
        appends: Appends,
    ) -> Result<Copied, EngineError> {
        let from = |e: LogError| here.judge(e);
        let to = |e: LogError| blame(future.dir(), &future.log, e);
        let (source, log) = (&here.log, &future.log);
        let now = self.core.clock().wall_ms();
        if cut(log, source, now).map_err(to)? == Truncated::Yes {
            // What was flushed before the cut says nothing of what comes behind it now.
            future.dir().files().write_recovery_points().map_err(to)?;
        }
        let (start, end) = (source.start_offset(), source.end_offset());
        let at = log.end_offset().max(start);
        if at >= end {
            if log.end_offset() < at {
                log.truncate_fully_and_start_at(at, now).map_err(to)?;
            }
            carry_offsets(log, source).map_err(to)?;
            return Ok(Copied::All(0));
        }
        let found = source.read(at, most, i64::MAX, AtLeast::OneBatch).map_err(from)?;
        let Some(slice) = found.slice else {
            if appends == Appends::GoOn {
                // The end moves before what lies below it can be read: a batch may just be arriving.
                return Ok(Copied::All(0));
            }
            // Compaction left nothing from here to the end.
            log.skip_to(source.end_offset(), now).map_err(to)?;
            return Ok(Copied::Some(0));
        };
        if log.end_offset() < start {
            // Where a batch lies astride the start, it is copied whole.
            log.truncate_fully_and_start_at(slice.first_offset.min(start), now).map_err(to)?;
        }
        let read = slice.read().map_err(|e| {
            let dir = here.dir.get();
            from(ottla_log::DiskError { op: "read", path: dir.path().into(), source: e }.into())
        })?;
        let done = log.append_as_follower(&Bytes::from(read), now).map_err(to)?;
        if done.bytes == 0 {
            // What was found is no whole batch: it was cut off while it was read, or is damaged.
            return match log.agrees_with(source) < log.end_offset() || !source.is_open() {
                true => Ok(Copied::Some(0)),
                false => Err(EngineError::Log(LogError::InvalidBatch("cannot be copied"))),
            };
        }
        if let Some(rolled_at) = done.rolled_at {
            // Beside the copying, as of any log: a copy that waited for the disk would never catch up with those who do not.
            let target = Target { log: Arc::clone(log), dir: Arc::clone(future.dir()) };
            self.core.flusher().flush_later(target, rolled_at);
        }
        carry_offsets(log, source).map_err(to)?;
        let all = log.end_offset() >= end;
        Ok(if all { Copied::All(done.bytes) } else { Copied::Some(done.bytes) })
    }

    /// Puts the copy in the log's place, if only little is left to copy; [`Copied::Some`] if there
    /// is more, [`Copied::Over`] when it is done.
    ///
    /// # Errors
    /// What went wrong, when the directory to blame is out of service already. The log stays where
    /// it was.
    pub(crate) fn finish_move(&self, future: &Arc<Future>) -> Result<Copied, EngineError> {
        let to = |e: LogError| blame(future.dir(), &future.log, e);
        let now = self.core.clock().wall_ms();
        // What survives a loss of power here must do so there.
        future.log.flush(self.log().recovery_point(), now).map_err(to)?;
        let mut moving = self.moving.lock();
        match &*moving {
            Moving::To(current) if Arc::ptr_eq(current, future) => {}
            _ => return Ok(Copied::Over),
        }
        let role = self.role.lock();
        let here = self.here.load_full();
        let (mut all, mut bytes) = (false, 0);
        let doublings = future.attempts.fetch_add(1, Ordering::Relaxed).min(MOST_DOUBLINGS);
        for _ in 0..LAST_PIECES << doublings {
            let left = self.copy(&here, future, LAST_PIECE, Appends::Wait)?;
            if let Copied::Some(n) | Copied::All(n) = left {
                bytes += n;
            }
            all =
                matches!(left, Copied::All(_)) && future.log.end_offset() >= here.log.end_offset();
            if all {
                break;
            }
        }
        if !all {
            return Ok(Copied::Some(bytes));
        }
        here.log.stop_writing();
        if let Err(e) = self.take_over(&here, future, now) {
            here.log.resume_writing();
            return Err(to(e));
        }
        self.here.store(Arc::new(Here {
            log: Arc::clone(&future.log),
            dir: Counted::new(Arc::clone(future.dir())),
        }));
        *moving = Moving::No;
        self.compaction.lock().paused = false;
        let (name, old) = (self.log_name(), here.dir.get());
        if let Err(e) = old.files().delete_log(&name, DirKind::Current, rand::random(), now) {
            warn!(log = %name, error = %e, "cannot delete a log that was moved away");
            old.judge(&e);
        }
        drop(role);
        drop(moving);
        self.fetches.wake_all();
        info!(log = %name, to = %future.dir().path().display(), "moved to another log directory");
        for dir in [old, future.dir()] {
            if let Err(e) = dir.files().write_checkpoints() {
                dir.judge(&e);
            }
        }
        Ok(Copied::Over)
    }

    /// Makes the copy, which has all records, the log in every other respect too.
    fn take_over(&self, here: &Here, future: &Future, now_ms: i64) -> Result<(), LogError> {
        let (source, log, name) = (&here.log, &future.log, self.log_name());
        log.adopt(source)?;
        // What was promised to survive goes on to. And the checkpoints must know of it before it is the log: recovered from
        // its beginning, a log that compaction left with gaps would seem to have lost what lies behind the first.
        log.flush(source.recovery_point(), now_ms)?;
        let files = future.dir().files();
        files.write_recovery_points()?;
        files.write_log_starts()?;
        if let Some(point) = here.dir.get().files().cleaner_point(&name) {
            files.set_cleaner_point(log, point)?;
        }
        files.promote_future(&name).map(drop)
    }
}

/// Cuts a copy to what it has in common with its source.
fn cut(log: &Log, source: &Log, now_ms: i64) -> Result<Truncated, LogError> {
    let mut done = Truncated::No;
    loop {
        let agreed = log.agrees_with(source);
        let end = log.end_offset();
        if agreed >= end || log.truncate_to(agreed, now_ms)? == Truncated::No {
            return Ok(done);
        }
        done = Truncated::Yes;
        if log.end_offset() >= end {
            return Ok(done);
        }
    }
}

fn carry_offsets(log: &Log, source: &Log) -> Result<(), LogError> {
    log.set_settings(source.settings());
    let reached = log.set_high_watermark(source.high_watermark());
    log.set_start_offset(source.start_offset().min(reached)).map(drop)
}
