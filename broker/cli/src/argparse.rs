//! Messages in the layout of argparse4j, which some of Kafka's tools parse their options with.
//!
//! Options are declared with clap; usage, help and errors are derived of those declarations.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

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

/// Turns clap's refusal into a message. `args` are the arguments that were parsed.
pub(crate) fn explain(root: &Command, args: &[String], error: &clap::Error) -> Message {
    let chosen = args.first().and_then(|name| root.find_subcommand(name));
    let (command, rest) = match chosen {
        Some(sub) => (sub, args.get(1..).unwrap_or_default()),
        None => (root, args),
    };
    let usage = usage(root, chosen);
    if error.kind() == ErrorKind::DisplayHelp {
        return Message::Help(help(&usage, command));
    }
    let text = format!("{}: error: {}", root.get_name(), mistake(command, rest, error));
    Message::Mistake(format!("{usage}\n{}\n", justify(&text, WIDTH, 0)))
}

fn mistake(command: &Command, args: &[String], error: &clap::Error) -> String {
    let invalid = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.last().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let named = |text: &str| {
        let long = text.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
        let arg = command.get_arguments().find(|a| a.get_long() == Some(long));
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

fn usage(root: &Command, chosen: Option<&Command>) -> String {
    let command = chosen.unwrap_or(root);
    let mut parts = vec!["[-h]".to_owned()];
    let groups: Vec<_> =
        command.get_groups().cloned().filter_map(|mut g| (!g.is_multiple()).then_some(g)).collect();
    let group_of = |arg: &Arg| groups.iter().find(|g| g.get_args().any(|a| a == arg.get_id()));
    for arg in options(command) {
        let shown = with_value(&format!("--{}", arg.get_long().unwrap_or_default()), arg);
        let Some(group) = group_of(arg) else {
            parts.push(if arg.is_required_set() { shown } else { format!("[{shown}]") });
            continue;
        };
        let mut members = group.get_args();
        let (open, close) = match (members.next(), members.last()) {
            (Some(first), _) if first == arg.get_id() => ("[", " |"),
            (_, Some(last)) if last == arg.get_id() => ("", "]"),
            _ => ("", " |"),
        };
        parts.push(format!("{open}{shown}{close}"));
    }
    if command.has_subcommands() {
        parts.extend([choices(command), "...".to_owned()]);
    }
    let mut line = format!("usage: {}", root.get_name());
    let indent = line.len() + 1;
    if let Some(sub) = chosen {
        line = format!("{line} {}", sub.get_name());
    }
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
    for arg in options(command) {
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
