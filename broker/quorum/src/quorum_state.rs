//! The file `quorum-state`: the epoch, who was voted for in it, and who leads it.
//!
//! Written in Kafka's JSON (data_version 1). What openraft calls a vote fits in it exactly: a vote that is not granted
//! yet has no leader, a granted one names the same node as leader and as voted for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log::checkpoint::{self, Durability};
use ottla_log::disk::Disk;
use ottla_wire::Uuid;
use serde::{Deserialize, Serialize};

use crate::error::QuorumError;
use crate::voter::NodeKey;

/// The file's name, in the directory of the metadata partition.
pub(crate) const FILE: &str = "quorum-state";

/// More than the largest file that Kafka or this code writes, with room for many voters.
const MAX_BYTES: u64 = 1 << 20;

/// What this node promised, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Election {
    /// The leader epoch.
    pub(crate) epoch: i32,
    /// The candidate this node voted for.
    pub(crate) candidate: NodeKey,
    /// Whether a majority is known to have granted the vote, so that the candidate leads.
    pub(crate) granted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    #[serde(default = "none")]
    leader_id: i32,
    #[serde(default)]
    leader_epoch: i32,
    #[serde(default = "none")]
    voted_id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voted_directory_id: Option<String>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

fn none() -> i32 {
    -1
}

/// The file, and what it last held.
#[derive(Debug)]
pub(crate) struct QuorumStateFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    last: Option<Election>,
}

impl QuorumStateFile {
    /// Opens the file in the directory of the metadata partition; there need not be one.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, QuorumError> {
        let path = dir.join(FILE);
        let last = if disk.exists(&path).map_err(|e| QuorumError::io("look for", &path, e))? {
            let bytes =
                disk.read(&path, MAX_BYTES).map_err(|e| QuorumError::io("read", &path, e))?;
            parse(&bytes).map_err(|why| QuorumError::Corrupt { path: path.clone(), why })?
        } else {
            None
        };
        Ok(Self { disk, path, last })
    }

    /// What was last saved.
    #[must_use]
    pub(crate) fn last(&self) -> Option<Election> {
        self.last
    }

    /// Saves an election; when this returns it survives a power loss.
    pub(crate) fn save(&mut self, election: Election) -> io::Result<()> {
        if self.last == Some(election) {
            return Ok(());
        }
        let bytes = render(election);
        checkpoint::replace(&*self.disk, &self.path, &bytes, Durability::Flushed)
            .map_err(io::Error::other)?;
        self.last = Some(election);
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Election>, String> {
    let json: Json = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if !(0..=1).contains(&json.data_version) {
        return Err(format!("data_version {} is not known", json.data_version));
    }
    if json.leader_epoch < 0 {
        return Err(format!("leaderEpoch {} is negative", json.leader_epoch));
    }
    let directory = match &json.voted_directory_id {
        Some(text) => text.parse().map_err(|e| format!("votedDirectoryId: {e}"))?,
        None => Uuid::ZERO,
    };
    // Kafka forgets whom it voted for once it follows a leader, so the leader may stand alone.
    let (id, directory) = if json.voted_id >= 0 {
        (json.voted_id, directory)
    } else if json.leader_id >= 0 {
        (json.leader_id, Uuid::ZERO)
    } else {
        return Ok((json.leader_epoch > 0).then_some(Election {
            epoch: json.leader_epoch,
            candidate: NodeKey::new(-1, Uuid::ZERO),
            granted: false,
        }));
    };
    let granted = json.leader_id == id && json.voted_id == id;
    let candidate = NodeKey::new(id, directory);
    Ok(Some(Election { epoch: json.leader_epoch, candidate, granted }))
}

fn render(election: Election) -> Vec<u8> {
    let json = Json {
        leader_id: if election.granted { election.candidate.id } else { -1 },
        leader_epoch: election.epoch,
        voted_id: election.candidate.id,
        voted_directory_id: Some(election.candidate.directory.to_string()),
        data_version: 1,
    };
    // A struct of numbers and strings cannot fail to become JSON.
    serde_json::to_vec(&json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_written() {
        for granted in [true, false] {
            let directory = "jghKNZ8kShKszGvxgJLbXA".parse().unwrap();
            let election = Election { epoch: 7, candidate: NodeKey::new(3, directory), granted };
            assert_eq!(parse(&render(election)), Ok(Some(election)));
        }
    }

    #[test]
    fn reads_what_kafka_wrote() {
        let text = br#"{"leaderId":1,"leaderEpoch":2,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        let election = parse(text).unwrap().unwrap();
        assert_eq!((election.epoch, election.candidate.id, election.granted), (2, 1, false));
        let text = br#"{"clusterId":"","leaderId":-1,"leaderEpoch":4,"votedId":2,"appliedOffset":0,"currentVoters":[{"voterId":2}],"data_version":0}"#;
        let election = parse(text).unwrap().unwrap();
        assert_eq!((election.epoch, election.candidate.id, election.granted), (4, 2, false));
    }

    #[test]
    fn refuses_what_it_cannot_understand() {
        assert!(parse(b"").is_err());
        assert!(parse(b"{\"leaderEpoch\":1,\"data_version\":9}").is_err());
        assert!(parse(b"{\"leaderEpoch\":-3,\"data_version\":1}").is_err());
    }
}
