//! The loggers of this process and their levels, which change while it runs (KIP-412).
//!
//! A logger is the room that writes a line, or what somebody named when the process began; `root` stands for all that
//! no other one covers. As log targets do, a logger covers every target that begins with its name: `ottla` covers all
//! rooms. Levels are never recorded: a restart forgets what was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

/// The logger that covers what no other one does. It always has a level.
pub(crate) const ROOT: &str = "root";

/// The rooms that write log lines, all of them together, and the library that makes the quorum.
const ROOMS: [&str; 8] = [
    "openraft",
    "ottla",
    "ottla_client",
    "ottla_engine",
    "ottla_log",
    "ottla_net",
    "ottla_quorum",
    "ottla_server",
];

/// How much a logger tells, as Kafka names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nothing. Only where a process begins with it.
    Off,
    /// What ends the process. There is no such level here: such lines are errors, and errors are told.
    Fatal,
    /// Errors.
    Error,
    /// And what somebody may have to look at.
    Warn,
    /// And what goes on.
    Info,
    /// And what helps to find out why.
    Debug,
    /// And every step.
    Trace,
}

impl Level {
    /// The levels that can be asked for, as a message lists them.
    pub(crate) const NAMES: &str = "DEBUG, ERROR, FATAL, INFO, TRACE, WARN";

    /// The level that a request names.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "FATAL" => Self::Fatal,
            "ERROR" => Self::Error,
            "WARN" => Self::Warn,
            "INFO" => Self::Info,
            "DEBUG" => Self::Debug,
            "TRACE" => Self::Trace,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The level of a directive.
    fn of_directive(text: &str) -> Option<Self> {
        let filter: LevelFilter = text.parse().ok()?;
        Some(match filter.into_level() {
            None => Self::Off,
            Some(tracing::Level::ERROR) => Self::Error,
            Some(tracing::Level::WARN) => Self::Warn,
            Some(tracing::Level::INFO) => Self::Info,
            Some(tracing::Level::DEBUG) => Self::Debug,
            Some(tracing::Level::TRACE) => Self::Trace,
        })
    }

    /// Its name in a directive.
    fn directive(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Fatal | Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Which logger has which level.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Levels {
    root: Level,
    /// Levels of their own.
    own: BTreeMap<String, Level>,
    /// Every logger that there is, but the root.
    known: BTreeSet<String>,
    /// Directives that are no logger's, as those about spans. They stay as they are.
    others: Vec<String>,
}

impl Levels {
    fn parse(directives: &str) -> Self {
        let known = ROOMS.iter().map(|room| (*room).to_owned()).collect();
        let mut levels = Self { root: Level::Off, own: BTreeMap::new(), known, others: Vec::new() };
        let mut any = false;
        for directive in split(directives) {
            any = true;
            let plain = !directive.contains(['[', '{', '/']);
            match (directive.split_once('='), Level::of_directive(directive)) {
                (None, Some(level)) => levels.root = level,
                (None, None) if plain => levels.name(directive, Level::Trace),
                (Some((target, level)), _) if plain && !target.is_empty() => {
                    match Level::of_directive(level) {
                        Some(level) => levels.name(target, level),
                        None => levels.others.push(directive.to_owned()),
                    }
                }
                _ => levels.others.push(directive.to_owned()),
            }
        }
        if !any {
            levels.root = Level::Error;
        }
        levels
    }

    fn name(&mut self, target: &str, level: Level) {
        self.known.insert(target.to_owned());
        self.own.insert(target.to_owned(), level);
    }

    /// The level that holds for a logger: its own, or that of the longest name that covers it.
    fn of(&self, name: &str) -> Level {
        let covering = self.own.iter().filter(|(own, _)| name.starts_with(own.as_str()));
        covering.max_by_key(|(own, _)| own.len()).map_or(self.root, |(_, level)| *level)
    }

    fn directives(&self) -> String {
        let mut text = self.root.directive().to_owned();
        for (name, level) in &self.own {
            // Writing to a string does not fail.
            let _ = write!(text, ",{name}={}", level.directive());
        }
        for other in &self.others {
            let _ = write!(text, ",{other}");
        }
        text
    }
}

/// The parts between commas, but for commas within brackets.
fn split(directives: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let parts = directives.split(move |c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// The loggers of a process; one for all that run in it.
pub struct Loggers {
    levels: Mutex<Levels>,
    apply: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Loggers {
    /// Loggers that began with these directives, in the syntax of `RUST_LOG`. `apply` takes others at once.
    pub fn new(directives: &str, apply: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { levels: Mutex::new(Levels::parse(directives)), apply: Box::new(apply) }
    }

    /// All loggers with the levels that hold for them, the root's first.
    pub(crate) fn all(&self) -> Vec<(String, Level)> {
        let levels = self.levels.lock();
        let root = (ROOT.to_owned(), levels.root);
        let named = levels.known.iter().map(|name| (name.clone(), levels.of(name)));
        std::iter::once(root).chain(named).collect()
    }

    /// Whether there is a logger of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        name == ROOT || self.levels.lock().known.contains(name)
    }

    /// Changes levels, all at once. `None` takes a logger's own away: it follows the one that covers it, or the root.
    pub(crate) fn change<'a>(&self, changes: impl Iterator<Item = (&'a str, Option<Level>)>) {
        let mut levels = self.levels.lock();
        let before = levels.clone();
        for (name, level) in changes {
            match (name, level) {
                (ROOT, Some(level)) => levels.root = level,
                (ROOT, None) => {}
                (name, Some(level)) => {
                    levels.own.insert(name.to_owned(), level);
                }
                (name, None) => {
                    levels.own.remove(name);
                }
            }
        }
        if *levels != before {
            // Under the lock, so that the last one to change is the one that holds.
            (self.apply)(&levels.directives());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn levels(loggers: &Loggers) -> BTreeMap<String, &'static str> {
        loggers.all().into_iter().map(|(name, level)| (name, level.name())).collect()
    }

    #[test]
    fn a_logger_has_the_level_of_the_longest_name_that_covers_it() {
        let loggers = Loggers::new("info,openraft=warn,openraft::core=error,ottla_q=debug", |_| ());
        let levels = levels(&loggers);
        assert_eq!(levels["root"], "INFO");
        assert_eq!((levels["openraft"], levels["openraft::core"]), ("WARN", "ERROR"));
        assert_eq!((levels["ottla_quorum"], levels["ottla_server"]), ("DEBUG", "INFO"));
        assert!(loggers.has("ottla_engine") && loggers.has("root") && !loggers.has("kafka"));
    }

    #[test]
    fn what_changes_is_applied_and_all_else_stays() {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&applied);
        let loggers = Loggers::new("warn,a=off,[b{c=1,d}]=trace", move |text: &str| {
            theirs.lock().push(text.to_owned());
        });
        loggers
            .change([("ottla_log", Some(Level::Fatal)), ("root", Some(Level::Info))].into_iter());
        assert_eq!(levels(&loggers)["ottla_log"], "FATAL");
        loggers.change([("ottla_log", None), ("a", None), ("root", None)].into_iter());
        loggers.change([("ottla_log", None)].into_iter());
        assert_eq!(
            *applied.lock(),
            ["info,a=off,ottla_log=error,[b{c=1,d}]=trace", "info,[b{c=1,d}]=trace"]
        );
        assert_eq!((levels(&loggers)["ottla_log"], levels(&loggers)["a"]), ("INFO", "INFO"));
    }

    #[test]
    fn every_room_that_writes_lines_is_a_logger() {
        let rooms = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = BTreeSet::from(["openraft".to_owned()]);
        for room in std::fs::read_dir(rooms).unwrap() {
            let manifest = room.unwrap().path().join("Cargo.toml");
            let Ok(text) = std::fs::read_to_string(manifest) else { continue };
            if text.contains("\ntracing.workspace") {
                let name = text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
                found.insert(name.trim_matches('"').replace('-', "_"));
            }
        }
        assert_eq!(found, ROOMS.map(str::to_owned).into());
    }

    #[test]
    fn directives_are_read_as_the_filter_reads_them() {
        let root = |text: &str| levels(&Loggers::new(text, |_| ()))["root"];
        assert_eq!(
            (root(""), root("DEBUG"), root("ottla=info"), root("2")),
            ("ERROR", "DEBUG", "OFF", "WARN")
        );
        assert_eq!(levels(&Loggers::new("info,ottla_net", |_| ()))["ottla_net"], "TRACE");
    }
}
