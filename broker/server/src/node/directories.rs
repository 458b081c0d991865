//! The node's directories: whose they are, and opening them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_engine::{LogDir, LogDirs};
use ottla_log::cache::FileCache;
use ottla_log::dir::LogDir as Files;
use ottla_log::disk::Disk;
use ottla_quorum::directories::{self, NodeDirectories};
use ottla_wire::Uuid;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::error;

use super::StartError;

/// Checks that the directories are this node's.
pub(super) fn identify(
    disk: &Arc<dyn Disk>,
    config: &BrokerConfig,
) -> Result<NodeDirectories, StartError> {
    let log_dirs: Vec<PathBuf> = config.log_dirs().iter().map(PathBuf::from).collect();
    let metadata_dir = Path::new(config.metadata_log_dir());
    let mut new_id = ottla_quorum::format::random_uuid;
    let now = super::settings::wall_ms();
    let date = ottla_quorum::date_text(now);
    let node_id = config.node_id();
    Ok(directories::open(disk, &log_dirs, metadata_dir, node_id, &mut new_id, &date)?)
}

/// Opens the log directories that can be read, whose logs may hold `open_files` open. Those that fail
/// later are told by the receiver.
pub(super) fn open(
    disk: &Arc<dyn Disk>,
    config: &BrokerConfig,
    found: &NodeDirectories,
    open_files: usize,
) -> Result<(LogDirs, UnboundedReceiver<Uuid>), StartError> {
    let (failures, failed) = unbounded_channel();
    let cache = FileCache::new(Arc::clone(disk), open_files);
    let (mut dirs, mut unreadable) = (Vec::new(), found.offline.clone());
    for path in config.log_dirs().iter().map(Path::new) {
        let Some(id) = found.online.get(path) else { continue };
        match Files::open(path, &cache) {
            Ok(files) => dirs.push(LogDir::new(*id, Arc::new(files), failures.clone())),
            // Another process has it: going on without would be a second life of this node.
            Err(error @ ottla_log::LogError::Locked { .. }) => return Err(error.into()),
            Err(error) if config.log_dirs().len() > 1 => {
                error!(dir = %path.display(), %error, "log directory cannot be opened");
                unreadable.push(path.to_owned());
            }
            Err(error) => return Err(error.into()),
        }
    }
    for path in &found.offline {
        error!(dir = %path.display(), "log directory cannot be read; going on without it");
    }
    Ok((LogDirs::new(dirs).with_unreadable(unreadable), failed))
}
