//! `ottla reassign-partitions`, Kafka's `kafka-reassign-partitions.sh`: move replicas between brokers and directories.

mod arguments;
mod document;
mod execute;
mod generate;
mod moves;
mod state;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use super::cluster;
use super::connect::{self, Failure, say};
use arguments::{Action, Reassign};

/// Why nothing is done, or not all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// Told as it is.
    Terse(String),
    /// Told as an error.
    Told(String),
}

impl<T: std::fmt::Display> From<T> for Refusal {
    fn from(why: T) -> Self {
        Self::Told(why.to_string())
    }
}

impl From<Failure> for Refusal {
    fn from(Failure(why): Failure) -> Self {
        Self::Told(why)
    }
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: Reassign = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let action = match options.action() {
        Ok(action) => action,
        Err(why) => return cluster::refuse::<Reassign>(&why),
    };
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        // What is wrong is told on standard output, as Kafka's tool does.
        match perform(&options, action, &mut out).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(Refusal::Terse(why)) => say(&mut out, why),
            Err(Refusal::Told(why)) => say(&mut out, format_args!("Error: {why}")),
        }
        ExitCode::FAILURE
    })
}

async fn perform(options: &Reassign, action: Action, out: &mut dyn Write) -> Result<(), Refusal> {
    let (server, controller) =
        (options.bootstrap_server.as_deref(), options.bootstrap_controller.as_deref());
    let files = [&options.command_config];
    let client = connect::client("ottla-reassign-partitions", server, controller, &files)?;
    match action {
        Action::Generate => generate::run(options, &client, out).await,
        Action::Execute => execute::run(options, &client, out).await,
        Action::Verify => verify::verify(options, &client, out).await,
        Action::Cancel => verify::cancel(options, &client, out).await,
        Action::List => verify::list(&client, out).await,
    }
}

fn read(file: &str) -> Result<String, Refusal> {
    std::fs::read_to_string(file).map_err(|_| Refusal::Told(format!("Unable to read file {file}")))
}
