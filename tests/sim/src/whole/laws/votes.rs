//! A member votes for one candidate an epoch, also when its disk was emptied in between.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ottla_log::disk::Disk;
use ottla_quorum::directories::METADATA_PARTITION;

use super::super::host::{DATA, Host};
use super::super::plan::{Keys, Plan};
use crate::{Verdict, violated};

/// More than the file has.
const MOST: u64 = 1 << 16;

/// Who voted for whom.
#[derive(Debug, Default)]
pub struct Votes(BTreeMap<(String, i64), i64>);

/// A number of the file, which is JSON.
fn number(text: &str, name: &str) -> Option<i64> {
    let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
    let end = rest.find([',', '}'])?;
    rest.get(..end)?.trim().parse().ok()
}

impl Votes {
    /// Looks at what is on a member's disk.
    pub fn inspect(&mut self, host: &Host, plan: &Plan) -> Verdict {
        let path = PathBuf::from(DATA).join(METADATA_PARTITION).join("quorum-state");
        // A disk that died has nothing to say.
        let Ok(bytes) = host.disk.read(&path, MOST) else { return Ok(()) };
        let text = String::from_utf8_lossy(&bytes);
        let numbers = ["leaderId", "leaderEpoch", "votedId"].map(|name| number(&text, name));
        let [Some(leader), Some(epoch), Some(voted)] = numbers else { return Ok(()) };
        // Who follows a leader notes that as a vote for it.
        if leader >= 0 || voted < 0 {
            return Ok(());
        }
        let who = match plan.keys {
            Keys::Directories => host.key().to_string(),
            Keys::Nodes => host.id.to_string(),
        };
        let first = *self.0.entry((who.clone(), epoch)).or_insert(voted);
        if first != voted {
            let what = format!("{who} voted for {first} in epoch {epoch}, and then for {voted}");
            return Err(violated("votes", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_stands_in_the_file() {
        let text = r#"{"leaderId":-1,"leaderEpoch":7,"votedId":3,"data_version":1}"#;
        let numbers = ["leaderId", "leaderEpoch", "votedId", "data_version", "no"];
        let read = numbers.map(|name| number(text, name));
        assert_eq!(read, [Some(-1), Some(7), Some(3), Some(1), None]);
    }
}
