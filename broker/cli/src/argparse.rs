//! Messages in the layout of argparse4j, which some of Kafka's tools parse their options with.
//!
//! Options are declared with clap; usage, help and errors are derived of those declarations.

use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgGroup, Command, CommandFactory, FromArgMatches};

/// Columns of a line.
const WIDTH: usize = 75;
/// Where help texts begin.
const HELP_COLUMN: usize = 25;

/// A command line that is not to be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Help was asked for: for standard output, exit code 0.
    Help(String),
    /// A mistake: for standard error, exit code 1.
    Mistake(String),
}

/// What a tool of Kafka's does at the end of a command line that is not to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Help succeeds, mistakes come with the usage.
    Usual,
    /// Help fails too.
    HelpFails,
    /// A mistake is one line.
    OneLine,
}

/// Reads the options of a tool; an exit code if it is not to be run.
pub(crate) fn parse<T: CommandFactory + FromArgMatches>(
    args: &[String],
    manner: Manner,
) -> Result<T, ExitCode> {
    let mut command = T::command().disable_help_subcommand(true);
    command.build();
    let name = command.get_name().to_owned();
    let line = std::iter::once(name.as_str()).chain(args.iter().map(String::as_str));
    let parsed = command.clone().try_get_matches_from(line);
    let error = match parsed.and_then(|mut m| T::from_arg_matches_mut(&mut m)) {
        Ok(options) => return Ok(options),
        Err(error) => error,
    };
    match explain(&command, args, &error) {
        Message::Help(text) => {
            let _ = write!(std::io::stdout(), "{text}");
            Err(if manner == Manner::HelpFails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Message::Mistake(text) => {
            let text = if manner == Manner::OneLine {
                let why = what_is_wrong(&command, args, &error);
                format!("Command line error: {why}. Type --help for help.\n")
            } else {
                text
            };
            let _ = write!(std::io::stderr(), "{text}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// Turns clap's refusal into a message. `args` are the arguments that were parsed.
pub(crate) fn explain(root: &Command, args: &[String], error: &clap::Error) -> Message {
    let chosen = chosen(root, args).map(|(_, sub)| sub);
    if error.kind() == ErrorKind::DisplayHelp {
        return Message::Help(help(&usage(root, chosen), chosen.unwrap_or(root)));
    }
    // What the root lacks is told with the root's usage.
    let of_root = missing_group(root, error).is_some();
    let usage = usage(root, chosen.filter(|_| !of_root));
    let text = format!("{}: error: {}", root.get_name(), what_is_wrong(root, args, error));
    Message::Mistake(format!("{usage}\n{}\n", justify(&text, WIDTH, 0)))
}

/// The subcommand of a command line, and where it stands behind the options of the root.
fn chosen<'a>(root: &'a Command, args: &[String]) -> Option<(usize, &'a Command)> {
    let mut at = 0;
    loop {
        let arg = args.get(at)?;
        if !arg.starts_with('-') {
            return root.find_subcommand(arg).map(|sub| (at, sub));
        }
        let named = |a: &&Arg| {
            a.get_long().is_some_and(|l| arg.strip_prefix("--") == Some(l))
                || a.get_short().is_some_and(|s| arg.strip_prefix('-') == Some(&s.to_string()))
        };
        at += 1 + usize::from(root.get_arguments().find(named).is_some_and(takes_value));
    }
}

/// The options of which one is needed, when that is what is wrong.
fn missing_group<'a>(command: &'a Command, error: &clap::Error) -> Option<&'a ArgGroup> {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if !missing.iter().any(|text| text.contains('|')) {
        return None;
    }
    command.get_groups().find(|g| g.is_required_set() && !(*g).clone().is_multiple())
}

fn what_is_wrong(root: &Command, args: &[String], error: &clap::Error) -> String {
    let chosen = chosen(root, args);
    let missing = error.kind() == ErrorKind::MissingRequiredArgument;
    if missing && chosen.is_none() && root.has_subcommands() {
        return "too few arguments".to_owned();
    }
    let (command, rest) = match chosen {
        Some((at, sub)) => (sub, args.get(at + 1..).unwrap_or_default()),
        None => (root, args),
    };
    if missing {
        let group = [command, root].into_iter().find_map(|c| Some((c, missing_group(c, error)?)));
        if let Some((owner, group)) = group {
            let members: Vec<&clap::Id> = group.get_args().collect();
            let args = owner.get_arguments().filter(|a| members.contains(&a.get_id()));
            let names: Vec<String> = args.map(flags).collect();
            return format!("one of the arguments {} is required", names.join(" "));
        }
    }
    mistake(root, command, rest, error)
}

fn mistake(root: &Command, command: &Command, args: &[String], error: &clap::Error) -> String {
    let invalid = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.last().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let named = |text: &str| {
        let long = text.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
        let mut all = command.get_arguments().chain(root.get_arguments());
        let arg = all.find(|a| a.get_long() == Some(long));
        arg.map_or_else(|| text.to_owned(), flags)
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            format!("argument {} is required", named(&invalid(ContextKind::InvalidArg)))
        }
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues => {
            format!("argument {}: expected one argument", named(&invalid(ContextKind::InvalidArg)))
        }
        ErrorKind::ArgumentConflict => {
            let (one, other) =
                (named(&invalid(ContextKind::InvalidArg)), named(&invalid(ContextKind::PriorArg)));
            let place = |flag: &str| {
                args.iter().position(|a| flag.split('/').any(|f| f == a)).unwrap_or_default()
            };
            let (first, second) =
                if place(&one) < place(&other) { (one, other) } else { (other, one) };
            format!("argument {second}: not allowed with argument {first}")
        }
        ErrorKind::InvalidSubcommand => {
            let choices: Vec<_> =
                command.get_subcommands().map(|c| format!("'{}'", c.get_name())).collect();
            let given = invalid(ContextKind::InvalidSubcommand);
            format!("invalid choice: '{given}' (choose from {})", choices.join(", "))
        }
        ErrorKind::UnknownArgument => {
            let unknown = invalid(ContextKind::InvalidArg);
            let from = args.iter().position(|a| *a == unknown).unwrap_or_default();
            format!("unrecognized arguments: '{}'", args.get(from..).unwrap_or_default().join(" "))
        }
        _ => "too few arguments".to_owned(),
    }
}

fn flags(arg: &Arg) -> String {
    let long = arg.get_long().map(|l| format!("--{l}"));
    let short = arg.get_short().map(|s| format!("-{s}"));
    long.into_iter().chain(short).collect::<Vec<_>>().join("/")
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|a| a.get_long().is_some() && a.get_long() != Some("help"))
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// An option with the name of its value.
fn with_value(flag: &str, arg: &Arg) -> String {
    if takes_value(arg) {
        format!("{flag} {}", arg.get_id().as_str().to_uppercase())
    } else {
        flag.to_owned()
    }
}

fn choices(command: &Command) -> String {
    let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    format!("{{{}}}", names.join(","))
}

/// Which options a usage shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    Required,
}

/// The options of a command as its usage shows them: those that exclude each other last.
fn usage_parts(command: &Command, which: Shown) -> Vec<String> {
    let mut parts = Vec::new();
    let groups: Vec<_> =
        command.get_groups().cloned().filter_map(|mut g| (!g.is_multiple()).then_some(g)).collect();
    let shown = |arg: &Arg| with_value(&format!("--{}", arg.get_long().unwrap_or_default()), arg);
    let grouped = |arg: &Arg| groups.iter().any(|g| g.get_args().any(|a| a == arg.get_id()));
    for arg in options(command).filter(|a| !grouped(a)) {
        if arg.is_required_set() {
            parts.push(shown(arg));
        } else if which == Shown::All {
            parts.push(format!("[{}]", shown(arg)));
        }
    }
    for group in groups.iter().filter(|g| g.is_required_set() || which == Shown::All) {
        let (open, close) = if group.is_required_set() { ("(", ")") } else { ("[", "]") };
        let ids: Vec<_> = group.get_args().collect();
        let members: Vec<_> = options(command).filter(|a| ids.contains(&a.get_id())).collect();
        for (at, arg) in members.iter().enumerate() {
            let before = if at == 0 { open } else { "" };
            let after = if at + 1 == members.len() { close } else { " |" };
            parts.push(format!("{before}{}{after}", shown(arg)));
        }
    }
    parts
}

fn usage(root: &Command, chosen: Option<&Command>) -> String {
    let command = chosen.unwrap_or(root);
    let mut parts = Vec::new();
    if let Some(sub) = chosen {
        parts.extend(usage_parts(root, Shown::Required));
        parts.push(sub.get_name().to_owned());
    }
    parts.push("[-h]".to_owned());
    parts.extend(usage_parts(command, Shown::All));
    if command.has_subcommands() {
        parts.extend([choices(command), "...".to_owned()]);
    }
    let mut line = format!("usage: {}", root.get_name());
    let indent = line.len() + 1;
    let mut text = String::new();
    for part in parts {
        if line.len() + 1 + part.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = format!("{:indent$}{part}", "");
        } else {
            line = format!("{line} {part}");
        }
    }
    text + &line
}

fn help(usage: &str, command: &Command) -> String {
    let mut text = format!("{usage}\n");
    if command.has_subcommands() {
        if let Some(about) = command.get_about() {
            text.push_str(&format!("\n{about}\n"));
        }
        text.push_str(&format!("\npositional arguments:\n  {}\n", choices(command)));
        for sub in command.get_subcommands() {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&entry(&format!("    {}", sub.get_name()), &about));
        }
    }
    text.push_str("\noptional arguments:\n");
    text.push_str(&entry("  -h, --help", "show this help message and exit"));
    let mut heading = None;
    for arg in options(command) {
        if arg.get_help_heading() != heading
            && let Some(title) = arg.get_help_heading()
        {
            text.push_str(&format!("\n{title}:\n"));
        }
        heading = arg.get_help_heading();
        let long = arg.get_long().map(|l| with_value(&format!("--{l}"), arg));
        let short = arg.get_short().map(|s| with_value(&format!("-{s}"), arg));
        let names = long.into_iter().chain(short).collect::<Vec<_>>().join(", ");
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&entry(&format!("  {names}"), &about));
    }
    text
}

fn entry(names: &str, about: &str) -> String {
    let about = justify(about, WIDTH - HELP_COLUMN, HELP_COLUMN);
    if names.len() + 2 > HELP_COLUMN {
        format!("{names}\n{:HELP_COLUMN$}{about}\n", "")
    } else {
        format!("{names:HELP_COLUMN$}{about}\n")
    }
}

/// Breaks a text into lines of a width, each but the last filled up with spaces between its words, from the middle out.
fn justify(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<Vec<&str>> = vec![Vec::new()];
    let mut len = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        if len > 0 && len + 1 + word.len() > width {
            lines.push(Vec::new());
            len = 0;
        }
        len += word.len() + usize::from(len > 0);
        if let Some(line) = lines.last_mut() {
            line.push(word);
        }
    }
    let last = lines.len() - 1;
    let filled = lines
        .iter()
        .enumerate()
        .map(|(i, words)| if i == last { words.join(" ") } else { fill(words, width) });
    filled.collect::<Vec<_>>().join(&format!("\n{:indent$}", ""))
}

fn fill(words: &[&str], width: usize) -> String {
    let gaps = words.len() - 1;
    let spaces = width.saturating_sub(words.iter().map(|w| w.len()).sum());
    if gaps == 0 {
        return words.concat();
    }
    let (each, more) = (spaces / gaps, spaces % gaps);
    let from = (gaps - more).div_ceil(2);
    let mut line = String::new();
    for (i, word) in words.iter().enumerate() {
        line.push_str(word);
        if i < gaps {
            let wide = each + usize::from((from..from + more).contains(&i));
            line.push_str(&" ".repeat(wide));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Parser, Subcommand};

    #[derive(Args)]
    #[group(required = true, multiple = false)]
    struct Servers {
        #[arg(long)]
        bootstrap_server: Option<String>,
        #[arg(long)]
        bootstrap_controller: Option<String>,
    }

    #[derive(Parser)]
    #[command(name = "kafka-metadata-quorum")]
    struct Tool {
        #[command(flatten)]
        servers: Servers,
        #[arg(long)]
        command_config: Option<String>,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Subcommand)]
    enum Sub {
        RemoveController {
            #[arg(long, short = 'i')]
            controller_id: i32,
            #[arg(long)]
            dry_run: bool,
        },
    }

    fn said(line: &str) -> Message {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut command = Tool::command().disable_help_subcommand(true);
        command.build();
        let whole = std::iter::once("x").chain(args.iter().map(String::as_str));
        match command.clone().try_get_matches_from(whole) {
            Ok(_) => panic!("{line} is fine"),
            Err(error) => explain(&command, &args, &error),
        }
    }

    #[test]
    fn options_may_stand_before_the_subcommand() {
        let usage = "usage: kafka-metadata-quorum (--bootstrap-server BOOTSTRAP_SERVER |\n                             \
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n                             remove-controller [-h]\n                             \
                     --controller-id CONTROLLER_ID [--dry-run]\n";
        assert_eq!(
            said("--bootstrap-server h:1 remove-controller"),
            Message::Mistake(format!(
                "{usage}kafka-metadata-quorum: error: argument --controller-id/-i is required\n"
            ))
        );
        let root = "usage: kafka-metadata-quorum [-h] [--command-config COMMAND_CONFIG]\n                             \
                    (--bootstrap-server BOOTSTRAP_SERVER |\n                             --bootstrap-controller \
                    BOOTSTRAP_CONTROLLER)\n                             {remove-controller} ...\n";
        assert_eq!(
            said(""),
            Message::Mistake(format!("{root}kafka-metadata-quorum: error: too few arguments\n"))
        );
        let Message::Mistake(text) = said("remove-controller --controller-id 1") else {
            panic!("no help was asked for")
        };
        let why = "one  of  the  arguments --bootstrap-server";
        assert!(
            text.starts_with(root) && text.replace("  ", " ").contains(&why.replace("  ", " ")),
            "{text}"
        );
    }

    #[test]
    fn lines_are_filled_as_argparse4j_does() {
        let text = "kafka-storage: error: invalid choice: 'bogus' (choose from 'info', 'format', 'version-mapping', \
                    'feature-dependencies', 'random-uuid')";
        assert_eq!(
            justify(text, WIDTH, 0),
            "kafka-storage:  error:  invalid  choice:   'bogus'   (choose  from  'info',\n'format', \
             'version-mapping', 'feature-dependencies', 'random-uuid')"
        );
        let text = "kafka-storage: error: argument --no-initial-controllers/-N: not allowed with argument \
                    --standalone/-s";
        assert_eq!(
            justify(text, WIDTH, 0),
            "kafka-storage: error:  argument  --no-initial-controllers/-N:  not  allowed\nwith argument \
             --standalone/-s"
        );
    }
}
