//! Opening what is on disk when the node starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_config::keys;
use ottla_log::Log;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::dir::{Found, LogDir as Files, Wanted, recover_all};
use ottla_log::names::DirKind;
use ottla_metadata::{Delta, Image, Topic};
use ottla_wire::Uuid;
use tracing::{info, warn};

use super::{Published, Publisher};
use crate::dirs::LogDir;
use crate::ids::PartitionId;
use crate::settings::TopicSettings;

/// The metadata quorum's own partition: not the engine's to open.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// What opening the logs did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSummary {
    /// Logs opened that are this node's.
    pub logs: usize,
    /// Logs put aside because the metadata do not give them to this node.
    pub strays: usize,
    /// Logs that could not be opened.
    pub failed: usize,
    /// How long it took.
    pub took: Duration,
    /// What publishing the image did besides.
    pub published: Published,
}

/// Settings by topic, made once.
type Settings = BTreeMap<Uuid, TopicSettings>;

/// The topic a directory belongs to, by its id if it has one, else by its name.
fn owner<'a>(image: &'a Image, files: &Files, found: &Found) -> Option<&'a Arc<Topic>> {
    let id: Option<Uuid> = match files.topic_id(found) {
        Ok(id) => id.and_then(|text| text.parse().ok()),
        Err(_) => None,
    };
    let topic = match id {
        Some(id) => image.topic(id),
        None => image.topic_named(&found.name.topic),
    };
    topic.filter(|topic| *topic.name == *found.name.topic)
}

impl Publisher {
    /// Opens the logs on disk, puts those aside that the metadata do not give to this node, and
    /// publishes `image`. Blocks until all are open.
    pub fn load(&mut self, image: Image) -> LoadSummary {
        let begin = Instant::now();
        let settings = self.topic_settings(&image);
        let mut summary = self.open_all(&image, &settings);
        let dirs = self.dirs.all().to_vec();
        for kind in [DirKind::Current, DirKind::Future] {
            for dir in &dirs {
                self.adopt(&image, &settings, dir, kind, &mut summary);
            }
        }
        if summary.strays > 0 || self.checkpoints_name_gone_logs() {
            self.write_checkpoints();
        }
        let delta = Delta::between(&Image::default(), &image);
        summary.published = self.publish(image, &delta);
        summary.took = begin.elapsed();
        info!(?summary, "logs are open");
        summary
    }

    fn checkpoints_name_gone_logs(&self) -> bool {
        // One that cannot be read is judged by what comes next.
        self.dirs.online().any(|dir| dir.files().names_gone_logs().unwrap_or(false))
    }

    fn topic_settings(&self, image: &Image) -> Settings {
        image.topics().map(|topic| (topic.id, self.settings(image, &topic.name))).collect()
    }

    fn is_ours(&self, topic: &Topic, partition: i32) -> bool {
        topic.partition(partition).is_some_and(|p| p.replicas.as_slice().contains(&self.me))
    }

    fn open_all(&self, image: &Image, settings: &Settings) -> LoadSummary {
        let mut summary = LoadSummary::default();
        let online: Vec<_> = self.dirs.online().map(|dir| Arc::clone(dir.files())).collect();
        let threads = self.config.get(keys::NUM_RECOVERY_THREADS_PER_DATA_DIR);
        let threads = usize::try_from(threads).unwrap_or(1);
        let now = self.core.clock().wall_ms();
        let wanted = |files: &Files, found: &Found| {
            let kept = matches!(found.kind, DirKind::Current | DirKind::Future);
            if found.name.topic == METADATA_TOPIC || !kept {
                return Wanted::Skip;
            }
            let topic =
                owner(image, files, found).filter(|t| self.is_ours(t, found.name.partition));
            let of_topic = topic.and_then(|topic| settings.get(&topic.id));
            Wanted::Open(Arc::clone(&of_topic.unwrap_or(&self.defaults).log))
        };
        for (path, report) in recover_all(&online, threads, now, &wanted) {
            let dir = self.dirs.all().iter().find(|dir| *dir.path() == path);
            let errors = match &report {
                Ok(report) => report.failed.iter().map(|(_, e)| e).collect(),
                Err(e) => {
                    if let Some(dir) = dir {
                        dir.give_up(e);
                    }
                    vec![e]
                }
            };
            summary.failed += errors.len();
            for error in errors {
                warn!(dir = %path.display(), %error, "a log cannot be opened");
                if let Some(dir) = dir {
                    dir.judge(error);
                }
            }
        }
        summary
    }

    /// Takes the open logs of one directory in: those that are current, or those that were being
    /// copied there.
    fn adopt(
        &mut self,
        image: &Image,
        settings: &Settings,
        dir: &Arc<LogDir>,
        kind: DirKind,
        summary: &mut LoadSummary,
    ) {
        let all = match dir.files().list() {
            Ok(all) => all,
            Err(e) => return dir.give_up(&e),
        };
        let now = self.core.clock().wall_ms();
        for found in all.iter().filter(|f| f.kind == kind) {
            let Some(log) = dir.files().get(&found.name, kind) else { continue };
            let partition = found.name.partition;
            let topic =
                owner(image, dir.files(), found).filter(|topic| self.is_ours(topic, partition));
            let known = topic.and_then(|topic| settings.get(&topic.id).map(|s| (topic, s)));
            let Some((topic, settings)) = known else {
                let unique = self.unique(now);
                warn!(log = %found.name, "stray log put aside: it is not this node's");
                if let Err(e) = dir.files().set_stray(&found.name, kind, unique) {
                    dir.judge(&e);
                }
                summary.strays += 1;
                continue;
            };
            let assigned = self.assigned(topic, partition);
            let open = Open { topic, assigned, settings, name: &found.name, log, dir };
            match kind {
                DirKind::Future => self.adopt_future(open, summary),
                _ => self.adopt_current(open, summary),
            }
        }
        if !dir.is_online() {
            self.replicas.fail_dir(dir);
        }
    }

    /// The directory that the metadata give to this node's replica.
    fn assigned(&self, topic: &Topic, partition: i32) -> Option<Uuid> {
        let partition = topic.partition(partition)?;
        let place = partition.replicas.as_slice().iter().position(|replica| *replica == self.me)?;
        partition.directories.get(place).copied()
    }

    /// Takes a log in. Of two of the partition, which a crash in the last moment of a move leaves,
    /// the right one is where the metadata say; the other goes, or is put aside if it has what the
    /// right one has not.
    fn adopt_current(&mut self, open: Open<'_>, summary: &mut LoadSummary) {
        let (id, name) = (open.id(), open.name);
        let mut keep = (Arc::clone(&open.log), Arc::clone(open.dir));
        if let Ok(twin) = self.replicas.get(id) {
            let rank = |log: &Log, dir: &LogDir| {
                (open.assigned == Some(dir.id()), log.latest_epoch(), log.end_offset())
            };
            let mut other = (twin.log(), twin.dir());
            if rank(&keep.0, &keep.1) < rank(&other.0, &other.1) {
                std::mem::swap(&mut keep, &mut other);
            }
            let contains = other.0.agrees_with(&keep.0) == other.0.end_offset();
            let (kept, other) = (keep.1.path().display(), &other.1);
            let now = self.core.clock().wall_ms();
            let unique = self.unique(now);
            let done = if contains && open.assigned == Some(keep.1.id()) {
                info!(log = %name, %kept, "a move was all but done: what it left is deleted");
                other.files().delete_log(name, DirKind::Current, unique, now)
            } else {
                let aside = other.path().display();
                warn!(log = %name, %kept, %aside, "a log is in two directories: one is put aside");
                summary.strays += 1;
                other.files().set_stray(name, DirKind::Current, unique)
            };
            if let Err(e) = done {
                other.judge(&e);
            }
        } else {
            summary.logs += 1;
        }
        let (log, dir) = keep;
        let replica = self.partition(id, &open.topic.name, log, &dir, open.settings.clone());
        self.replicas.insert(replica);
    }

    /// Takes in a log that was being copied. If the partition has its log, the move goes on; if it
    /// has none, and the metadata say that it is here, a crash came between two renames.
    fn adopt_future(&mut self, open: Open<'_>, summary: &mut LoadSummary) {
        let (id, name, dir) = (open.id(), open.name, open.dir);
        let now = self.core.clock().wall_ms();
        let assigned_to = |dir: &Arc<LogDir>| open.assigned == Some(dir.id());
        let done = match self.replicas.get(id) {
            Ok(replica) if !Arc::ptr_eq(&replica.dir(), dir) => {
                replica.resume_move(open.log, dir);
                Ok(())
            }
            Err(_) if assigned_to(dir) => dir.files().promote_future(name).map(|_| {
                info!(log = %name, "a move was all but done: its copy is the log now");
                let (log, settings) = (open.log, open.settings.clone());
                self.replicas.insert(self.partition(id, &open.topic.name, log, dir, settings));
                summary.logs += 1;
            }),
            // The log's own directory cannot be read now. It may be again one day.
            Err(_) if self.dirs.any_offline() && !self.dirs.online().any(assigned_to) => {
                open.log.abandon();
                Ok(())
            }
            // It is gone for good, and begins anew: the copy is all that is left of it.
            Err(_) => {
                warn!(log = %name, "copy of a log that is gone put aside");
                summary.strays += 1;
                dir.files().set_stray(name, DirKind::Future, self.unique(now))
            }
            Ok(_) => {
                warn!(log = %name, "deleting the copy of a log that is here already");
                dir.files().delete_log(name, DirKind::Future, self.unique(now), now)
            }
        };
        if let Err(e) = done {
            dir.judge(&e);
        }
    }
}

/// A log that was opened, and what the metadata say of it.
struct Open<'a> {
    topic: &'a Arc<Topic>,
    /// The directory that it should be in.
    assigned: Option<Uuid>,
    settings: &'a TopicSettings,
    name: &'a TopicPartition,
    log: Arc<Log>,
    /// The directory that it is in.
    dir: &'a Arc<LogDir>,
}

impl Open<'_> {
    fn id(&self) -> PartitionId {
        PartitionId::new(self.topic.id, self.name.partition)
    }
}
