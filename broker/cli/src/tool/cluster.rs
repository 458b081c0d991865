//! What the tools that talk to a cluster have in common: how they read their options and reach it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use ottla_client::Options;

/// Reads the options of a tool; an exit code if it is not to be run. As Kafka's tools do, help goes to standard error
/// and fails.
pub(crate) fn parse<T: Parser>(args: &[String]) -> Result<T, ExitCode> {
    let name = T::command().get_name().to_owned();
    T::try_parse_from(std::iter::once(&name).chain(args)).map_err(|error| {
        let text = error.render();
        if error.kind() == ErrorKind::DisplayVersion {
            let _ = write!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        let _ = write!(std::io::stderr(), "{text}");
        ExitCode::FAILURE
    })
}

/// Refuses a command line.
pub(crate) fn refuse<T: Parser>(why: &str) -> ExitCode {
    let mut command = T::command();
    let _ = writeln!(std::io::stderr(), "{why}\n\n{}", command.render_usage());
    ExitCode::FAILURE
}

/// Runs a tool to its end, with its log lines on standard error.
pub(crate) fn block_on(tool: impl Future<Output = ExitCode>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Somebody else may have set it up, in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .try_init();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(tool);
            // A thread may still wait for standard input.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Properties by their names.
pub(crate) type Properties = BTreeMap<String, String>;

/// The properties of a file, if there is one, and over them those given as `key=value`.
pub(crate) fn properties(
    files: &[&Option<String>],
    pairs: &[&[String]],
) -> Result<Properties, String> {
    let mut found = Properties::new();
    for file in files.iter().copied().flatten() {
        let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?;
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with(['#', '!']) {
                let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
                found.insert(key.trim_end().to_owned(), value.trim_start().to_owned());
            }
        }
    }
    for pair in pairs.iter().copied().flatten() {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() {
            return Err(format!("'{pair}' is no key=value"));
        }
        found.insert(key.to_owned(), value.to_owned());
    }
    Ok(found)
}

/// The options of a client of these servers with these properties of Kafka's clients.
pub(crate) fn client_options(
    servers: &str,
    client_id: &str,
    given: &Properties,
) -> Result<Options, String> {
    let mut options =
        Options::new(servers, client_id).map_err(|e| format!("--bootstrap-server: {e}"))?;
    for (key, value) in given {
        match key.as_str() {
            "client.id" => options.client_id.clone_from(value),
            "request.timeout.ms" => options.request_timeout = millis(key, value)?,
            "default.api.timeout.ms" => options.deadline = millis(key, value)?,
            "retry.backoff.ms" => options.backoff = millis(key, value)?,
            "retry.backoff.max.ms" => options.max_backoff = millis(key, value)?,
            "socket.connection.setup.timeout.ms" => options.connect_timeout = millis(key, value)?,
            "security.protocol" if value.eq_ignore_ascii_case("PLAINTEXT") => {}
            "security.protocol" => {
                return Err(format!(
                    "security.protocol={value} is not offered here; only PLAINTEXT is"
                ));
            }
            _ => {}
        }
    }
    Ok(options)
}

/// A duration in milliseconds.
pub(crate) fn millis(key: &str, value: &str) -> Result<std::time::Duration, String> {
    let parsed =
        value.trim().parse().map_err(|_| format!("{key}: '{value}' is no number of milliseconds"));
    parsed.map(std::time::Duration::from_millis)
}

/// A property that is true or false; Kafka's tools take whatever is not "true" for false.
pub(crate) fn truth(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}

/// A pattern of topic names: names or regular expressions, separated by commas.
#[derive(Debug)]
pub(crate) struct TopicPattern(regex::Regex);

impl TopicPattern {
    /// Reads the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let joined = text.trim().replace(',', "|").replace(' ', "");
        let bare = joined.trim_matches(['"', '\'']);
        let pattern = regex::Regex::new(&format!("^(?:{bare})$"));
        pattern.map(Self).map_err(|_| format!("{bare} is an invalid regex."))
    }

    /// Whether a topic is meant.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_topics() {
        let matches =
            |pattern: &str, topic: &str| TopicPattern::parse(pattern).unwrap().matches(topic);
        assert!(matches("t1", "t1") && !matches("t1", "t11") && !matches("t1", "at1"));
        assert!(matches("a, b", "b") && !matches("a,b", "ab"));
        assert!(matches("\"x.*\"", "xyz") && !matches("'x.*'", "y"));
        assert!(TopicPattern::parse("a(").is_err());
    }

    #[test]
    fn properties_of_clients() {
        let pairs = ["a=1".to_owned(), "b=x=y".to_owned(), "c".to_owned(), "a=2".to_owned()];
        let found = properties(&[&None], &[&pairs]).unwrap();
        let expected =
            [("a", "2"), ("b", "x=y"), ("c", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(found, Properties::from(expected));
        assert!(properties(&[], &[&["=1".to_owned()]]).is_err());
        let given = |key: &str, value: &str| Properties::from([(key.to_owned(), value.to_owned())]);
        let options = client_options("h:1", "me", &given("request.timeout.ms", "1500")).unwrap();
        assert_eq!(options.request_timeout.as_millis(), 1500);
        assert!(client_options("h:1", "me", &given("security.protocol", "SASL_SSL")).is_err());
        assert!(client_options("h:1", "me", &given("retry.backoff.ms", "soon")).is_err());
        assert!(client_options("h", "me", &Properties::new()).is_err());
    }
}
