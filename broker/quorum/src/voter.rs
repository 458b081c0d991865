//! Who takes part in the quorum: node keys, endpoints, voters.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ottla_wire::Uuid;

use crate::error::VoterError;

/// Kafka's name of one member of the quorum: its node id and the id of its metadata directory, so that a wiped disk
/// is a new member (KIP-853).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// `node.id`.
    pub id: i32,
    /// `directory.id` of the metadata log directory; [`Uuid::ZERO`] when unknown.
    pub directory: Uuid,
}

impl NodeKey {
    /// The key of a node and its directory.
    #[must_use]
    pub const fn new(id: i32, directory: Uuid) -> Self {
        Self { id, directory }
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.directory)
    }
}

/// Where a member listens, by listener name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The controller listener's name, such as `CONTROLLER`.
    pub name: String,
    /// A host name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The levels of `kraft.version` that a member supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KraftVersions {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl KraftVersions {
    /// What this software supports.
    pub const SUPPORTED: Self = Self { min: 0, max: 1 };
}

impl Default for KraftVersions {
    fn default() -> Self {
        Self::SUPPORTED
    }
}

/// What the quorum knows of a member besides its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Where the member listens.
    pub endpoints: Vec<Endpoint>,
    /// The levels of `kraft.version` it supports.
    pub kraft_versions: KraftVersions,
}

/// A member with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Who.
    pub key: NodeKey,
    /// Where, and what it supports.
    pub member: Member,
}

/// A voter as `--initial-controllers` and `controller.quorum.auto.join` write it: `id@host:port:directory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialController {
    /// Who.
    pub key: NodeKey,
    /// A host name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl InitialController {
    /// The voter, listening on the listener of this name.
    #[must_use]
    pub fn voter(&self, listener: &str) -> Voter {
        let endpoint =
            Endpoint { name: listener.to_owned(), host: self.host.clone(), port: self.port };
        Voter {
            key: self.key,
            member: Member { endpoints: vec![endpoint], kraft_versions: KraftVersions::SUPPORTED },
        }
    }

    /// Reads a comma-separated list; a node id may appear once only.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, VoterError> {
        let mut seen = BTreeSet::new();
        let mut controllers = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let controller: Self = part.parse()?;
            if !seen.insert(controller.key.id) {
                return Err(VoterError::Duplicate(controller.key.id));
            }
            controllers.push(controller);
        }
        if controllers.is_empty() {
            return Err(VoterError::NoVoters);
        }
        controllers.sort_by_key(|c| c.key.id);
        Ok(controllers)
    }
}

impl FromStr for InitialController {
    type Err = VoterError;

    fn from_str(text: &str) -> Result<Self, VoterError> {
        let text = text.trim();
        let (id, rest) = text.split_once('@').ok_or(VoterError::NoAt)?;
        if id.is_empty() {
            return Err(VoterError::LeadingAt);
        }
        let id: i32 = id.parse().map_err(|_| VoterError::NodeId)?;
        if id < 0 {
            return Err(VoterError::NegativeNodeId(id));
        }
        if rest.is_empty() {
            return Err(VoterError::NoHost);
        }
        let (host, rest) = match rest.strip_prefix('[') {
            Some(inner) => {
                let (host, rest) = inner.split_once(']').ok_or(VoterError::OpenBracket)?;
                (host, rest.strip_prefix(':').ok_or(VoterError::NoPortColon)?)
            }
            None => rest.split_once(':').ok_or(VoterError::NoColonAfterHost)?,
        };
        let (port, directory) = rest.split_once(':').ok_or(VoterError::NoColonAfterPort)?;
        let number: i64 = port.parse().map_err(|_| VoterError::Port)?;
        let port = u16::try_from(number).map_err(|_| VoterError::InvalidPort(number))?;
        let directory = directory.parse().map_err(|_| VoterError::Directory)?;
        Ok(Self { key: NodeKey::new(id, directory), host: host.to_owned(), port })
    }
}

impl fmt::Display for InitialController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let Self { key, host, port } = self;
        write!(f, "{}@{open}{host}{close}:{port}:{}", key.id, key.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<InitialController>, String> {
        InitialController::parse_list(text).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_what_kafka_reads() {
        let list =
            parse("2@[::1]:9:kghKNZ8kShKszGvxgJLbXA, 1@h:20801:jghKNZ8kShKszGvxgJLbXA").unwrap();
        assert_eq!(list[0].to_string(), "1@h:20801:jghKNZ8kShKszGvxgJLbXA");
        assert_eq!(list[1].to_string(), "2@[::1]:9:kghKNZ8kShKszGvxgJLbXA");
        assert_eq!(list[1].voter("C").member.endpoints[0].host, "::1");
    }

    #[test]
    fn refuses_in_kafkas_words() {
        let id = "jghKNZ8kShKszGvxgJLbXA";
        for (text, message) in [
            ("junk".to_owned(), "No @ found in dynamic voter string."),
            ("@h:1:x".to_owned(), "Invalid @ at beginning of dynamic voter string."),
            ("x@h:1:x".to_owned(), "Failed to parse node id in dynamic voter string."),
            ("-1@h:1:x".to_owned(), "Invalid negative node id -1 in dynamic voter string."),
            ("1@".to_owned(), "No hostname found after node id."),
            (
                "1@[::1:1:x".to_owned(),
                "Hostname began with left bracket, but no right bracket was found.",
            ),
            ("1@[::1]1:x".to_owned(), "Port section must start with a colon."),
            ("1@h".to_owned(), "No colon following hostname could be found."),
            ("1@h:1".to_owned(), "No colon following port could be found."),
            (format!("1@h:port:{id}"), "Failed to parse port in dynamic voter string."),
            (format!("1@h:70000:{id}"), "Invalid port 70000 in dynamic voter string."),
            ("1@h:1:junk".to_owned(), "Failed to parse directory ID in dynamic voter string."),
            (format!("1@h:1:{id},1@h:2:{id}"), "Node id 1 was specified more than once."),
            (String::new(), "No voters given."),
        ] {
            assert_eq!(parse(&text), Err(message.to_owned()), "{text}");
        }
    }
}
