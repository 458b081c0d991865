//! `ottla cluster`, Kafka's `kafka-cluster.sh`: the id of the cluster, its nodes, and brokers that are gone for good.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ottla_client::{Bootstrap, Client, ClientError, Fenced};

use super::cluster;
use super::connect::{self, Failure, say};
use crate::argparse::{self, Manner};

/// Asks about a cluster as a whole.
#[derive(Parser)]
#[command(name = "kafka-cluster")]
struct Cluster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the id of the cluster.
    ClusterId(Reach),
    /// Has the cluster forget a broker that is gone for good.
    Unregister {
        #[command(flatten)]
        reach: Reach,
        /// The id of the broker.
        #[arg(long, short, allow_negative_numbers = true)]
        id: i32,
    },
    /// Shows where the nodes listen.
    ListEndpoints {
        #[command(flatten)]
        reach: Reach,
        /// Show brokers that are out of service too.
        #[arg(long)]
        include_fenced_brokers: bool,
    },
}

/// Whom to ask.
#[derive(Args)]
struct Reach {
    #[command(flatten)]
    servers: Servers,
    /// The old name of --command-config.
    #[arg(long)]
    config: Option<String>,
    /// A file with properties of the client.
    #[arg(long, short)]
    command_config: Option<String>,
}

#[derive(Args)]
#[group(id = "asked", required = true, multiple = false)]
struct Servers {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long, short)]
    bootstrap_server: Option<String>,
    /// Controllers to ask, as host:port,host:port.
    #[arg(long, short = 'C')]
    bootstrap_controller: Option<String>,
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: Cluster = match argparse::parse(args, Manner::HelpFails) {
        Ok(options) => options,
        Err(code) => return code,
    };
    cluster::block_on(async {
        let mut out = std::io::stdout().lock();
        connect::end(perform(options.command, &mut out).await)
    })
}

async fn perform(command: Command, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        Command::ClusterId(reach) => {
            let id = client(&reach, out)?.describe_cluster(Fenced::Left).await?.id;
            say(out, format_args!("Cluster ID: {id}"));
        }
        Command::Unregister { reach, id } => match client(&reach, out)?.unregister_broker(id).await
        {
            Ok(()) => say(out, format_args!("Broker {id} is no longer registered.")),
            Err(ClientError::Unsupported { .. }) => {
                say(out, "The target cluster does not support the broker unregistration API.");
            }
            Err(error) => return Err(error.into()),
        },
        Command::ListEndpoints { reach, include_fenced_brokers } => {
            if include_fenced_brokers && reach.servers.bootstrap_controller.is_some() {
                return Err(
                    "The option --include-fenced-brokers is only supported with --bootstrap-server option".into(),
                );
            }
            let fenced = if include_fenced_brokers { Fenced::Included } else { Fenced::Left };
            list_endpoints(&client(&reach, out)?, fenced, out).await?;
        }
    }
    Ok(())
}

fn client(reach: &Reach, out: &mut dyn Write) -> Result<Client, Failure> {
    if reach.config.is_some() && reach.command_config.is_some() {
        return Err("--config and --command-config cannot be specified together.".into());
    }
    if reach.config.is_some() {
        say(
            out,
            "Option --config has been deprecated and will be removed in a future version. Use --command-config \
             instead.",
        );
    }
    let (server, controller) =
        (&reach.servers.bootstrap_server, &reach.servers.bootstrap_controller);
    let files = [&reach.config, &reach.command_config];
    connect::client("ottla-cluster", server.as_deref(), controller.as_deref(), &files)
}

async fn list_endpoints(
    client: &Client,
    fenced: Fenced,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut nodes = client.describe_cluster(fenced).await?.nodes;
    nodes.sort_by_key(|n| n.id);
    let rack = |rack: &Option<String>| rack.clone().unwrap_or_else(|| "null".to_owned());
    // Hosts and racks are shown as wide as the longest.
    let hosts = nodes.iter().map(|n| n.host.len()).max().unwrap_or(0);
    let racks = nodes.iter().filter_map(|n| n.rack.as_ref().map(String::len)).max().unwrap_or(10);
    if client.options().bootstrap == Bootstrap::Controllers {
        say(
            out,
            format_args!(
                "{:<10} {:<hosts$} {:<10} {:<racks$} {:<15}",
                "ID", "HOST", "PORT", "RACK", "ENDPOINT_TYPE"
            ),
        );
        for n in &nodes {
            let rack = rack(&n.rack);
            say(
                out,
                format_args!(
                    "{:<10} {:<hosts$} {:<10} {rack:<racks$} {:<15}",
                    n.id, n.host, n.port, "controller"
                ),
            );
        }
        return Ok(());
    }
    say(
        out,
        format_args!(
            "{:<10} {:<hosts$} {:<10} {:<racks$} {:<10} {:<15}",
            "ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"
        ),
    );
    for n in &nodes {
        let (rack, state) = (rack(&n.rack), if n.is_fenced { "fenced" } else { "unfenced" });
        say(
            out,
            format_args!(
                "{:<10} {:<hosts$} {:<10} {rack:<racks$} {state:<10} {:<15}",
                n.id, n.host, n.port, "broker"
            ),
        );
    }
    Ok(())
}
