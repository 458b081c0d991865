//! How the tools that ask brokers or controllers reach them.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use ottla_client::{Bootstrap, Client};

use super::cluster;

/// Whom to ask: brokers or controllers, one of them.
#[derive(Args, Debug, Clone)]
#[group(required = true, multiple = false)]
pub(crate) struct Servers {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    pub(crate) bootstrap_server: Option<String>,
    /// Controllers to ask, as host:port,host:port.
    #[arg(long)]
    pub(crate) bootstrap_controller: Option<String>,
}

/// Why a tool fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl<T: std::fmt::Display> From<T> for Failure {
    fn from(why: T) -> Self {
        Self(why.to_string())
    }
}

/// A client of brokers or controllers, with the properties of a file.
pub(crate) fn client(
    tool: &str,
    server: Option<&str>,
    controller: Option<&str>,
    files: &[&Option<String>],
) -> Result<Client, Failure> {
    let given = cluster::properties(files, &[])?;
    let (servers, bootstrap) = match (server, controller) {
        (Some(servers), None) => (servers, Bootstrap::Brokers),
        (None, Some(controllers)) => (controllers, Bootstrap::Controllers),
        _ => return Err("give either --bootstrap-server or --bootstrap-controller".into()),
    };
    let mut options = cluster::client_options(servers, tool, &given)?;
    options.bootstrap = bootstrap;
    Ok(Client::new(options))
}

/// Ends a tool that says on standard error why it fails.
pub(crate) fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            if !why.is_empty() {
                let _ = writeln!(std::io::stderr(), "{why}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. A reader that is gone is no reason to fail.
pub(crate) fn say(out: &mut dyn Write, line: impl std::fmt::Display) {
    let _ = writeln!(out, "{line}");
}

/// The ids of a list separated by commas.
pub(crate) fn ids(list: &str) -> Result<Vec<i32>, Failure> {
    let ids = list
        .split(',')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse::<i32>().map_err(|_| Failure(format!("For input string: \"{id}\""))));
    ids.collect()
}

/// Things side by side, as in Kafka's messages.
pub(crate) fn joined<T: ToString>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(between)
}

/// An "s" for several.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_node_is_asked() {
        let made = |server, controller| client("t", server, controller, &[]);
        assert!(made(None, None).is_err() && made(Some("h:1"), Some("h:1")).is_err());
        let brokers = made(Some("h:1"), None).unwrap();
        assert_eq!(brokers.options().bootstrap, Bootstrap::Brokers);
        let controllers = made(None, Some("h:1")).unwrap();
        assert_eq!(controllers.options().bootstrap, Bootstrap::Controllers);
    }

    #[test]
    fn lists_of_ids() {
        assert_eq!(ids("1,2").unwrap(), [1, 2]);
        assert_eq!(ids("").unwrap(), Vec::<i32>::new());
        assert_eq!(ids("1,x").unwrap_err().0, "For input string: \"x\"");
        assert_eq!(joined([1, 2], ","), "1,2");
    }
}
