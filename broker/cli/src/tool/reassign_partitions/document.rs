//! The files of reassignments: what they say, and how they are written.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::TopicPartition;
use serde::Serialize;
use serde_json::Value;

use crate::tool::connect::{Failure, joined};

/// A directory that is for the broker to choose.
pub(super) const ANY: &str = "any";

/// A replica: a partition on a broker.
pub(super) type Replica = (TopicPartition, i32);

/// What a file asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Partitions and their replicas, in the order of the file.
    pub(super) partitions: Vec<(TopicPartition, Vec<i32>)>,
    /// Directories of replicas that are not for their brokers to choose.
    pub(super) directories: BTreeMap<Replica, String>,
}

impl Wanted {
    /// The partitions and their replicas by partition.
    pub(super) fn targets(&self) -> BTreeMap<TopicPartition, Vec<i32>> {
        self.partitions.iter().cloned().collect()
    }

    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let json = json(text)?;
        version(&json)?;
        let mut wanted = Self::default();
        for one in list(&json, "partitions")? {
            let topic = text_of(one, "topic")?;
            let partition = number_of(one.get("partition"), "partition")?;
            let replicas = list(one, "replicas")?.iter();
            let replicas = replicas.map(|r| number_of(Some(r), "replicas"));
            let replicas: Vec<i32> = replicas.collect::<Result<_, _>>()?;
            let partition = TopicPartition::new(topic, partition);
            if one.get("log_dirs").is_some_and(|d| !d.is_null()) {
                let dirs = list(one, "log_dirs")?
                    .iter()
                    .map(|d| d.as_str().map(str::to_owned).ok_or_else(|| malformed("log_dirs")));
                let dirs: Vec<String> = dirs.collect::<Result<_, _>>()?;
                if dirs.len() != replicas.len() {
                    return Err(Failure(format!(
                        "Size of replicas list [{}] is different from size of log dirs list [{}] for partition \
                         {partition}",
                        joined(&replicas, ", "),
                        joined(&dirs, ", ")
                    )));
                }
                for (broker, dir) in replicas.iter().zip(dirs) {
                    if dir != ANY {
                        wanted.directories.insert((partition.clone(), *broker), dir);
                    }
                }
            }
            wanted.partitions.push((partition, replicas));
        }
        Ok(wanted)
    }

    /// Reads a file that is to be executed.
    pub(super) fn parse_to_execute(text: &str) -> Result<Self, Failure> {
        let wanted = Self::parse(text)?;
        if wanted.partitions.is_empty() {
            return Err("Partition reassignment list cannot be empty".into());
        }
        if wanted.partitions.iter().any(|(_, replicas)| replicas.is_empty()) {
            return Err("Partition replica list cannot be empty".into());
        }
        let twice = repeated(wanted.partitions.iter().map(|(p, _)| p));
        if !twice.is_empty() {
            return Err(Failure(format!(
                "Partition reassignment contains duplicate topic partitions: {}",
                joined(twice, ",")
            )));
        }
        let doubled = wanted.partitions.iter().filter_map(|(p, replicas)| {
            let twice = repeated(replicas);
            let ids = joined(&twice, ",");
            (!twice.is_empty()).then(|| format!("{p} contains multiple entries for {ids}"))
        });
        let doubled = joined(doubled, ". ");
        if !doubled.is_empty() {
            return Err(Failure(format!(
                "Partition replica lists may not contain duplicate entries: {doubled}"
            )));
        }
        Ok(wanted)
    }
}

/// What stands more than once.
pub(super) fn repeated<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let (mut seen, mut twice) = (BTreeMap::new(), Vec::new());
    for item in items {
        *seen.entry(item).or_insert(0) += 1;
    }
    twice.extend(seen.into_iter().filter(|(_, n)| *n > 1).map(|(item, _)| item));
    twice
}

/// The topics of a file of topics to move.
pub(super) fn topics(text: &str) -> Result<BTreeSet<String>, Failure> {
    let json = json(text)?;
    version(&json)?;
    let names: Vec<String> =
        list(&json, "topics")?.iter().map(|t| text_of(t, "topic")).collect::<Result<_, _>>()?;
    let twice = repeated(&names);
    if !twice.is_empty() {
        return Err(Failure(format!(
            "List of topics to reassign contains duplicate entries: [{}]",
            joined(twice, ", ")
        )));
    }
    Ok(names.into_iter().collect())
}

fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|e| Failure(format!("the file is no valid JSON: {e}")))
}

/// A file without a version is one of version 1.
fn version(json: &Value) -> Result<(), Failure> {
    match json.get("version").map(|v| (v, v.as_i64())) {
        None | Some((_, Some(1))) => Ok(()),
        Some((other, _)) => Err(Failure(format!("Not supported version field value {other}"))),
    }
}

fn malformed(field: &str) -> Failure {
    Failure(format!("the field {field} is missing or of another type"))
}

fn list<'a>(json: &'a Value, field: &str) -> Result<&'a Vec<Value>, Failure> {
    json.get(field).and_then(Value::as_array).ok_or_else(|| malformed(field))
}

fn text_of(json: &Value, field: &str) -> Result<String, Failure> {
    let text = json.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| malformed(field))
}

fn number_of(json: Option<&Value>, field: &str) -> Result<i32, Failure> {
    let number = json.and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
    number.ok_or_else(|| malformed(field))
}

#[derive(Serialize)]
struct File {
    version: i32,
    partitions: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    log_dirs: Vec<String>,
}

/// Partitions with their replicas, and the directories of those whose directories are named.
pub(super) fn write(
    partitions: &BTreeMap<TopicPartition, Vec<i32>>,
    directories: &BTreeMap<Replica, String>,
) -> Result<String, Failure> {
    let entry = |(p, replicas): (&TopicPartition, &Vec<i32>)| {
        let dir = |b: &i32| directories.get(&(p.clone(), *b)).cloned();
        Entry {
            topic: p.topic.clone(),
            partition: p.partition,
            replicas: replicas.clone(),
            log_dirs: replicas.iter().map(|b| dir(b).unwrap_or_else(|| ANY.to_owned())).collect(),
        }
    };
    let file = File { version: 1, partitions: partitions.iter().map(entry).collect() };
    serde_json::to_string(&file).map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let partitions = BTreeMap::from([
            (TopicPartition::new("a", 0), vec![1, 2]),
            (TopicPartition::new("b", 3), vec![3]),
        ]);
        let directories = BTreeMap::from([((TopicPartition::new("a", 0), 2), "/d".to_owned())]);
        let text = write(&partitions, &directories).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any","/d"]},{"topic":"b","partition":3,"replicas":[3],"log_dirs":["any"]}]}"#
        );
        let read = Wanted::parse_to_execute(&text).unwrap();
        assert_eq!((read.targets(), read.directories), (partitions, directories));
    }

    #[test]
    fn files_that_cannot_be_executed() {
        for (text, why) in [
            (r#"{"version":1,"partitions":[]}"#, "Partition reassignment list cannot be empty"),
            (r#"{"version":2,"partitions":[]}"#, "Not supported version field value 2"),
            (
                r#"{"partitions":[{"topic":"a","partition":0,"replicas":[]}]}"#,
                "Partition replica list cannot be empty",
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":0,"replicas":[1,1]}]}"#,
                "Partition replica lists may not contain duplicate entries: a-0 contains multiple entries for 1",
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":0,"replicas":[1]},{"topic":"a","partition":0,"replicas":[2]}]}"#,
                "Partition reassignment contains duplicate topic partitions: a-0",
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any"]}]}"#,
                "Size of replicas list [1, 2] is different from size of log dirs list [any] for partition a-0",
            ),
        ] {
            assert_eq!(Wanted::parse_to_execute(text).unwrap_err().0, why);
        }
        assert!(Wanted::parse("garbage").is_err());
        assert!(
            Wanted::parse(r#"{"partitions":[{"topic":"a","partition":"0","replicas":[1]}]}"#)
                .is_err()
        );
    }

    #[test]
    fn topics_to_move() {
        let read = topics(r#"{"topics":[{"topic":"b"},{"topic":"a"}],"version":1}"#).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            topics(r#"{"topics":[{"topic":"b"},{"topic":"b"}],"version":1}"#).unwrap_err().0,
            "List of topics to reassign contains duplicate entries: [b]"
        );
    }
}
