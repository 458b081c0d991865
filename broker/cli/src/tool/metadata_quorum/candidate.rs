//! A controller that shall vote, as its configuration file tells of it.

use std::path::Path;

use ottla_client::ControllerEndpoint;
use ottla_log::disk::real::RealDisk;
use ottla_quorum::meta_properties::{self, MetaProperties};
use ottla_wire::Uuid;

use crate::tool::cluster::{Properties, properties};
use crate::tool::connect::Failure;

/// Who it is, and where it listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: i32,
    pub(super) directory: Uuid,
    pub(super) endpoints: Vec<ControllerEndpoint>,
}

/// The end of a message about a file that is none of a controller.
const VALID: &str = "Is this a valid controller configuration file?";

impl Candidate {
    /// Reads the file, and the id of the metadata directory that it names.
    pub(super) fn read(file: &str) -> Result<Self, Failure> {
        if !Path::new(file).exists() {
            return Err(Failure(format!("Properties file {file} does not exists!")));
        }
        let given = properties(&[&Some(file.to_owned())], &[])?;
        let id = id_of(&given)?;
        let directory = directory_id(&metadata_directory(&given)?)?;
        Ok(Self { id, directory, endpoints: endpoints(&given)? })
    }
}

fn id_of(given: &Properties) -> Result<i32, Failure> {
    let Some(text) = given.get("node.id") else {
        return Err(Failure(format!("node.id not found in configuration file. {VALID}")));
    };
    let id: i32 =
        text.trim().parse().map_err(|_| Failure(format!("For input string: \"{text}\"")))?;
    if id < 0 {
        return Err(Failure(format!("node.id was negative in configuration file. {VALID}")));
    }
    let roles = given.get("process.roles").map(String::as_str).unwrap_or_default();
    if !roles.split(',').any(|r| r.trim() == "controller") {
        return Err(Failure(format!(
            "process.roles did not contain 'controller' in configuration file. {VALID}"
        )));
    }
    Ok(id)
}

fn metadata_directory(given: &Properties) -> Result<String, Failure> {
    if let Some(dir) = given.get("metadata.log.dir") {
        return Ok(dir.clone());
    }
    let dirs = given.get("log.dirs").and_then(|dirs| dirs.split(',').next());
    dirs.map(|d| d.trim().to_owned()).ok_or_else(|| {
        Failure(format!("Neither metadata.log.dir nor log.dirs were found. {VALID}"))
    })
}

fn directory_id(dir: &str) -> Result<Uuid, Failure> {
    let file = Path::new(dir).join(meta_properties::FILE);
    let read = MetaProperties::read(&RealDisk, Path::new(dir));
    let found = read.map_err(|e| {
        Failure(format!("Unable to read meta.properties from {}: {e}", file.display()))
    })?;
    let found = found.ok_or_else(|| {
        Failure(format!("Unable to read meta.properties from {}", file.display()))
    })?;
    found
        .directory_id
        .ok_or_else(|| Failure(format!("No directory id found in {}", file.display())))
}

/// Where the controller says that it listens: its advertised listeners, and those it listens on where it advertises
/// none.
fn endpoints(given: &Properties) -> Result<Vec<ControllerEndpoint>, Failure> {
    let value = |key: &str| given.get(key).map(String::as_str).unwrap_or_default();
    let names = value("controller.listener.names");
    if names.trim().is_empty() {
        return Err(Failure(format!("controller.listener.names was not found. {VALID}")));
    }
    let all = [value("advertised.listeners"), value("listeners")];
    let mut endpoints = Vec::new();
    for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let found = all.iter().find_map(|list| {
            parse_listeners(list).into_iter().find(|l| l.0.eq_ignore_ascii_case(name))
        });
        let (_, host, port) = found.ok_or_else(|| {
            Failure(format!("Cannot find information about controller listener name: {name}"))
        })?;
        let host = if host.is_empty() { "localhost".to_owned() } else { host };
        endpoints.push(ControllerEndpoint { listener: name.to_owned(), host, port });
    }
    Ok(endpoints)
}

/// The listeners of a list: name, host and port.
fn parse_listeners(list: &str) -> Vec<(String, String, u16)> {
    let parse = |entry: &str| {
        let (name, address) = entry.trim().split_once("://")?;
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((name.to_owned(), host.to_owned(), port.trim().parse().ok()?))
    };
    list.split(',').filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn listeners_of_controllers() {
        let file = given(&[
            ("controller.listener.names", "CONTROLLER,OTHER"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://[::1]:9093,OTHER://:9094"),
            ("advertised.listeners", "CONTROLLER://c1.example:19093"),
        ]);
        let found = endpoints(&file).unwrap();
        let shown: Vec<_> = found.iter().map(|e| (e.host.as_str(), e.port)).collect();
        assert_eq!(shown, [("c1.example", 19093), ("localhost", 9094)]);
        assert!(endpoints(&given(&[("controller.listener.names", "X")])).is_err());
    }

    #[test]
    fn files_that_are_no_controllers() {
        let wrong = |pairs: &[(&str, &str)]| id_of(&given(pairs)).unwrap_err().0;
        assert!(wrong(&[]).starts_with("node.id not found"));
        assert!(wrong(&[("node.id", "-1")]).starts_with("node.id was negative"));
        assert!(wrong(&[("node.id", "1"), ("process.roles", "broker")]).contains("'controller'"));
        assert_eq!(
            id_of(&given(&[("node.id", "1"), ("process.roles", "broker,controller")])),
            Ok(1)
        );
        assert!(metadata_directory(&given(&[])).is_err());
        assert_eq!(metadata_directory(&given(&[("log.dirs", "/a,/b")])), Ok("/a".to_owned()));
    }

    #[test]
    fn a_formatted_directory_has_an_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(directory_id(path).unwrap_err().0.starts_with("Unable to read"));
        let text = "version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=1\ndirectory.id=IVtIUpmphbm0neCmfMdjYA\n";
        std::fs::write(dir.path().join("meta.properties"), text).unwrap();
        assert_eq!(directory_id(path).unwrap().to_string(), "IVtIUpmphbm0neCmfMdjYA");
    }
}
