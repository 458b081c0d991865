//! `ottla server`: the broker. The only file of the tools that names the server.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ottla_config::{BrokerConfig, ConfigError, File, Parsed, Surroundings};
use ottla_log::disk::real::RealDisk;
use ottla_quorum::format::{
    FormatRequest, IfFormatted, InitialQuorum, Unstable, format, is_pristine, random_uuid,
};
use ottla_server::{Loggers, Node};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "\
usage: ottla server [FILE] [--override KEY=VALUE]...

  FILE                  a server.properties, with the keys of Apache Kafka
  --override KEY=VALUE  sets a key over the file; may be given several times

Without FILE: one node on this machine alone, Kafka on 127.0.0.1:9092, HTTP on 127.0.0.1:9644,
data in ./ottla-data, which is formatted when it is empty.
";

/// openraft warns of each heartbeat and each try that comes to nothing, twenty a second while a host is away. The quorum
/// tells of it once.
const QUIET_OPENRAFT: &str = "info,openraft=warn,openraft::core::heartbeat=error,openraft::core::raft_core=error,\
                              openraft::replication=error,openraft::engine=error";

/// The environment and the files of the machine.
struct Machine;

impl Surroundings for Machine {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read(path).map(decoded).map_err(|e| e.to_string())
    }
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    file: Option<String>,
    overrides: Vec<String>,
}

/// Runs the broker until it is told to stop.
pub(crate) fn run(args: &[String]) -> ExitCode {
    if args.iter().any(|a| a == "--help" || a == "-h") {
        let _ = write!(std::io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "ottla server: {why}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &[String]) -> Result<(), String> {
    // Huge pages would make an allocator that keeps little scattered memory hold much of it.
    // Where they cannot be turned off, the node is larger and otherwise the same.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let arguments = arguments(args)?;
    let parsed = read(&arguments)?;
    let loggers = Arc::new(init_logging());
    for warning in &parsed.warnings {
        warn!("{warning}");
    }
    let config = Arc::new(parsed.config);
    if arguments.file.is_none() {
        format_if_pristine(&config)?;
    }
    let mut stop = Stop::listen().map_err(|e| format!("cannot wait for signals: {e}"))?;
    let theirs = Arc::clone(&config);
    // A node that is stopped before it serves has promised nothing to anyone, and what its start
    // writes can be broken off at any time: the process may simply end.
    let Some(started) = stop.unless_told(move || Node::start(theirs, loggers))? else {
        info!("told to stop before it served");
        return Ok(());
    };
    let node = started.map_err(|e| e.to_string())?;
    // Nobody may be reading it.
    let _ = greet(&mut std::io::stdout(), &node, &config);
    stop.wait();
    node.stop();
    Ok(())
}

fn arguments(args: &[String]) -> Result<Arguments, String> {
    let mut found = Arguments::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.strip_prefix("--override") {
            Some("") => {
                let value = rest.next().ok_or("--override needs KEY=VALUE")?;
                found.overrides.push(value.clone());
            }
            Some(value) if value.starts_with('=') => {
                found.overrides.push(value.trim_start_matches('=').to_owned());
            }
            _ if arg.starts_with('-') => return Err(format!("there is no option {arg}\n{USAGE}")),
            _ if found.file.is_some() => return Err(format!("one FILE, not two: {arg}\n{USAGE}")),
            _ => found.file = Some(arg.clone()),
        }
    }
    Ok(found)
}

fn read(arguments: &Arguments) -> Result<Parsed, String> {
    let text = match &arguments.file {
        Some(name) => {
            let bytes = std::fs::read(name).map_err(|e| format!("cannot read {name}: {e}"))?;
            Some(decoded(bytes))
        }
        None => None,
    };
    let file = arguments.file.as_deref().zip(text.as_deref());
    let file = file.map(|(name, text)| File { name, text });
    ottla_config::parse(file, &arguments.overrides, &Machine)
        .map_err(|e: ConfigError| e.to_string())
}

/// The text of a file of properties: UTF-8, or else what Java takes every such file for.
fn decoded(bytes: Vec<u8>) -> String {
    let latin_1 =
        |e: std::string::FromUtf8Error| e.as_bytes().iter().copied().map(char::from).collect();
    String::from_utf8(bytes).unwrap_or_else(latin_1)
}

/// Log lines go to standard error; `RUST_LOG` says which, and the loggers from then on.
fn init_logging() -> Loggers {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let asked = asked.and_then(|text| Some((EnvFilter::try_new(&text).ok()?, text)));
    let (filter, directives) =
        asked.unwrap_or_else(|| (EnvFilter::new(QUIET_OPENRAFT), QUIET_OPENRAFT.to_owned()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Places that write nothing are still found out once: what a filter says of them is kept until it is replaced.
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.init();
    Loggers::new(&directives, move |directives| {
        if let Err(error) = handle.reload(EnvFilter::new(directives)) {
            error!(%error, directives, "the levels of loggers are not changed");
        }
    })
}

/// Formats the data folder of a node that was given no file, if there is nothing in it.
fn format_if_pristine(config: &BrokerConfig) -> Result<(), String> {
    let log_dirs: Vec<PathBuf> = config.log_dirs().iter().map(PathBuf::from).collect();
    let metadata_dir = PathBuf::from(config.metadata_log_dir());
    if !is_pristine(&RealDisk, &log_dirs, &metadata_dir) {
        return Ok(());
    }
    let controller = config.listeners().advertised_controller.first();
    let controller = controller.ok_or("the node has no controller listener")?;
    let request = FormatRequest {
        cluster_id: random_uuid().to_string(),
        node_id: config.node_id(),
        log_dirs,
        metadata_dir,
        controller_listener: controller.name.as_str().to_owned(),
        quorum: match config.voters() {
            [] => InitialQuorum::Standalone {
                host: controller.address.host.clone(),
                port: controller.address.port,
            },
            _ => InitialQuorum::Configured,
        },
        release: None,
        features: Vec::new(),
        scram: Vec::new(),
        formatted: IfFormatted::Refuse,
        unstable: Unstable::Refused,
    };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    format(&RealDisk, &request, now_ms).map_err(|e| e.to_string())?;
    Ok(())
}

/// Tells where the node is, and what to try.
fn greet(out: &mut dyn Write, node: &Node, config: &BrokerConfig) -> std::io::Result<()> {
    let of_kind = |kind| {
        let bound = node.bound.iter().filter(move |b| b.kind == kind);
        bound.map(|b| b.address.to_string()).collect::<Vec<_>>()
    };
    let brokers = of_kind(ottla_server::ListenerKind::Broker);
    writeln!(out, "Ottla {} serves.", env!("CARGO_PKG_VERSION"))?;
    match brokers.as_slice() {
        [] => {
            let controllers = of_kind(ottla_server::ListenerKind::Controller);
            writeln!(out, "  quorum   {}", controllers.join(", "))?;
        }
        brokers => writeln!(out, "  Kafka    {}", brokers.join(", "))?,
    }
    let http: Vec<_> = node.http_addresses().map(|a| format!("http://{a}")).collect();
    if !http.is_empty() {
        writeln!(out, "  HTTP     {}", http.join(", "))?;
    }
    writeln!(out, "  cluster  {}", node.context().cluster_id)?;
    writeln!(out, "  data     {}", config.log_dirs().join(", "))?;
    if let Some(address) = brokers.first() {
        writeln!(out, "Try next, in another terminal:")?;
        let ottla = called(std::env::args_os().next());
        for command in [
            "topics --create --topic hello",
            "console-producer --topic hello",
            "console-consumer --topic hello --from-beginning",
        ] {
            writeln!(out, "  {ottla} {command} --bootstrap-server {address}")?;
        }
    }
    writeln!(out, "Ctrl-C stops it.")?;
    out.flush()
}

/// How a shell finds this program: as it was called.
fn called(first: Option<std::ffi::OsString>) -> String {
    let name = first.and_then(|name| name.into_string().ok()).unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
    match name.as_str() {
        "" => "ottla".to_owned(),
        name if name.chars().all(plain) => name.to_owned(),
        name => format!("'{}'", name.replace('\'', "'\\''")),
    }
}

/// Waits for the signals that end a process.
struct Stop {
    runtime: tokio::runtime::Runtime,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        drop(_inside);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Runs `work` on a thread of its own, and gives up waiting for it when a signal comes: `None`.
    fn unless_told<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, String> {
        let (sender, done) = tokio::sync::oneshot::channel();
        let run = move || {
            // Nobody waits any more when a signal came.
            let _ = sender.send(work());
        };
        let thread = std::thread::Builder::new().name("start".into()).spawn(run);
        thread.map_err(|e| format!("cannot start a thread: {e}"))?;
        self.runtime.block_on(async {
            tokio::select! {
                done = done => done.map(Some).map_err(|_| "the start panicked".to_owned()),
                _ = self.interrupt.recv() => Ok(None),
                _ = self.terminate.recv() => Ok(None),
            }
        })
    }

    fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Arguments, String> {
        arguments(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line() {
        assert_eq!(parse(&[]), Ok(Arguments::default()));
        let found = parse(&["f", "--override", "a=1", "--override=b=2"]).unwrap();
        assert_eq!(found.file.as_deref(), Some("f"));
        assert_eq!(found.overrides, ["a=1", "b=2"]);
        assert!(parse(&["a", "b"]).unwrap_err().contains("one FILE"));
        assert!(parse(&["--nonsense"]).unwrap_err().contains("--nonsense"));
        assert!(parse(&["--override"]).unwrap_err().contains("KEY=VALUE"));
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_read_as_java_reads_it() {
        assert_eq!(decoded("# Müller".into()), "# Müller");
        assert_eq!(decoded(b"# M\xfcller\nnode.id=1".to_vec()), "# Müller\nnode.id=1");
    }

    #[test]
    fn the_program_is_named_as_it_was_called() {
        let called = |name: &str| called(Some(name.into()));
        assert_eq!(called("ottla"), "ottla");
        assert_eq!(called("target/release/ottla"), "target/release/ottla");
        assert_eq!(called("/my own/bin/ot'la"), r"'/my own/bin/ot'\''la'");
        assert_eq!(super::called(None), "ottla");
    }
}
