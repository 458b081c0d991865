//! `ottla configs`, Kafka's `kafka-configs.sh`: configurations of topics, brokers, groups and more, quotas and
//! credentials.

mod alter;
mod arguments;
mod describe;
mod quota;
mod scram;

use std::process::ExitCode;

use super::cluster;
use super::connect::{self, Failure};
use arguments::{Action, Configs, Request};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: Configs = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let action = match options.action() {
        Ok(action) => action,
        Err(why) => return cluster::refuse::<Configs>(&why),
    };
    let request = match options.request(args, action) {
        Ok(request) => request,
        Err(why) => return connect::end(Err(why)),
    };
    cluster::block_on(async {
        let result = perform(&options, action, &request, args).await;
        connect::end(result)
    })
}

/// What is wrong: with the command line, or with what the cluster says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Options(String),
    Cluster(String),
}

impl From<ottla_client::ClientError> for Trouble {
    fn from(error: ottla_client::ClientError) -> Self {
        Self::Cluster(error.to_string())
    }
}

async fn perform(
    options: &Configs,
    action: Action,
    request: &Request,
    args: &[String],
) -> Result<(), Failure> {
    let (server, controller) =
        (options.bootstrap_server.as_deref(), options.bootstrap_controller.as_deref());
    let files = [&options.command_config];
    let client = connect::client("ottla-configs", server, controller, &files)?;
    let mut out = std::io::stdout().lock();
    let done = match action {
        Action::Describe => describe::run(&client, request, &mut out).await,
        Action::Alter => alter::run(&client, request, &mut out).await,
    };
    done.map_err(|trouble| match trouble {
        Trouble::Options(why) => Failure(why),
        Trouble::Cluster(why) => Failure(format!(
            "Error while executing config command with args '{}'\n{why}",
            args.join(" ")
        )),
    })
}
