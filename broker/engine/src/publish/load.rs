//! Opening what is on disk when the node starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_config::keys;
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
        for dir in self.dirs.all().to_vec() {
            self.adopt(&image, &settings, &dir, &mut summary);
        }
        let delta = Delta::between(&Image::default(), &image);
        summary.published = self.publish(image, &delta);
        summary.took = begin.elapsed();
        info!(?summary, "logs are open");
        summary
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
            if found.name.topic == METADATA_TOPIC || found.kind != DirKind::Current {
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
                Err(e) => vec![e],
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

    /// Takes the open logs of one directory in.
    fn adopt(
        &mut self,
        image: &Image,
        settings: &Settings,
        dir: &Arc<LogDir>,
        summary: &mut LoadSummary,
    ) {
        let Ok(all) = dir.files().list() else { return };
        let now = self.core.clock().wall_ms();
        for found in all.iter().filter(|f| f.kind == DirKind::Current) {
            let Some(log) = dir.files().get(&found.name, DirKind::Current) else { continue };
            let partition = found.name.partition;
            let topic =
                owner(image, dir.files(), found).filter(|topic| self.is_ours(topic, partition));
            let known = topic.and_then(|topic| settings.get(&topic.id).map(|s| (topic, s)));
            let Some((topic, settings)) = known else {
                let unique = self.unique(now);
                warn!(log = %found.name, "stray log put aside: it is not this node's");
                if let Err(e) = dir.files().set_stray(&found.name, unique) {
                    dir.judge(&e);
                }
                summary.strays += 1;
                continue;
            };
            let id = PartitionId::new(topic.id, partition);
            let replica = self.partition(id, &topic.name, log, dir, settings.clone());
            self.replicas.insert(replica);
            summary.logs += 1;
        }
        if !dir.is_online() {
            self.replicas.fail_dir(dir);
        }
    }
}
