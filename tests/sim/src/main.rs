//! Runs seeds.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_sim::whole::plan::Scope;
use ottla_sim::{Outcome, Print, Trace, run, violated, whole};

const USAGE: &str = "usage: ottla-sim [--whole | --nodes] [--seed N [--trace]] [--seeds FROM..TO] [--seconds N [--from N]] [--threads N] [--first]";

/// Lines shown of a run that failed.
const SHOWN: usize = 60;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// The machines, around a model of the quorum.
    Machines,
    /// The quorum itself.
    Whole,
    /// Whole nodes, with the quorum inside.
    Nodes,
}

impl Level {
    fn run(self, seed: u64, trace: Trace) -> Outcome {
        match self {
            Self::Machines => run(seed, trace),
            Self::Whole => whole::run(Scope::Quorum, seed, trace),
            Self::Nodes => whole::run(Scope::Nodes, seed, trace),
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Machines => "",
            Self::Whole => "--whole ",
            Self::Nodes => "--nodes ",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Machines => "cargo run --profile sim -p ottla-sim",
            Self::Whole | Self::Nodes => {
                "RUSTFLAGS='--cfg tokio_unstable' cargo run --profile sim -p ottla-sim"
            }
        }
    }
}

/// What to run.
struct Plan {
    from: u64,
    to: u64,
    until: Option<Instant>,
    threads: usize,
    print: Print,
    /// Whether to stop at the first violation.
    first: bool,
    level: Level,
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan {
        from: 0,
        to: 100,
        until: None,
        threads: 2,
        print: Print::No,
        first: false,
        level: Level::Machines,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: &str| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
        match arg.as_str() {
            "--seed" => {
                plan.from = number(&value()?)?;
                plan.to = plan.from + 1;
            }
            "--seeds" => {
                let text = value()?;
                let (from, to) = text.split_once("..").ok_or("FROM..TO")?;
                (plan.from, plan.to) = (number(from)?, number(to)?);
            }
            "--seconds" => {
                let seconds = number(&value()?)?;
                plan.until = Some(Instant::now() + Duration::from_secs(seconds));
                (plan.from, plan.to) = (fresh(), u64::MAX);
            }
            "--from" => plan.from = number(&value()?)?,
            "--threads" => plan.threads = number(&value()?)?.clamp(1, 64) as usize,
            "--trace" => plan.print = Print::Yes,
            "--first" => plan.first = true,
            "--whole" => plan.level = Level::Whole,
            "--nodes" => plan.level = Level::Nodes,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(plan)
}

/// A seed that was hardly ever run.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as u64).wrapping_mul(1_000_003)
}

thread_local! {
    /// What a thread runs.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Tells the seed of a panic at once: one in the middle of another ends the process, and nobody else would tell it.
#[allow(clippy::print_stdout)]
fn tell_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        println!("seed {} panics: {panic}", SEED.get());
        default(panic);
    }));
}

/// A run whose panics are violations too.
fn guarded(seed: u64, print: Print, level: Level) -> Outcome {
    SEED.set(seed);
    let keep = if print == Print::Yes { 0 } else { SHOWN };
    let ran = catch_unwind(AssertUnwindSafe(|| level.run(seed, Trace::new(keep, print))));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Outcome {
            violation: Some(violated("panic", text.unwrap_or_default())),
            trace: Trace::new(0, Print::No),
            acked: 0,
            committed: 0,
            healed_after: 0,
        }
    })
}

#[derive(Default)]
struct Totals {
    runs: AtomicU64,
    acked: AtomicU64,
    lines: AtomicU64,
    slowest: AtomicU64,
    failed: Mutex<Vec<u64>>,
}

#[allow(clippy::print_stdout)]
fn one(seed: u64, plan: &Plan, totals: &Totals) {
    let outcome = guarded(seed, plan.print, plan.level);
    totals.runs.fetch_add(1, Ordering::Relaxed);
    totals.acked.fetch_add(outcome.acked, Ordering::Relaxed);
    totals.lines.fetch_add(outcome.trace.len(), Ordering::Relaxed);
    totals.slowest.fetch_max(outcome.healed_after, Ordering::Relaxed);
    if plan.to - plan.from == 1 {
        let (acked, ms) = (outcome.acked, outcome.healed_after);
        let (lines, sum) = (outcome.trace.len(), outcome.trace.sum());
        println!(
            "seed {seed}: {acked} acknowledged, healed after {ms} ms, trace {lines} lines {sum:016x}"
        );
    }
    if let Some(violation) = outcome.violation {
        let mut failed = totals.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        outcome.trace.last().for_each(|line| println!("    {line}"));
        println!("seed {seed}: {violation}");
        println!(
            "again, line by line: {} -- {}--seed {seed} --trace",
            plan.level.command(),
            plan.level.option(),
        );
        failed.push(seed);
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    tell_panics();
    let begin = Instant::now();
    let totals = Totals::default();
    let next = AtomicU64::new(plan.from);
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let late = plan.until.is_some_and(|until| Instant::now() >= until);
                    let failed = totals.failed.lock().map_or(1, |failed| failed.len());
                    if seed >= plan.to || late || (plan.first && failed > 0) {
                        return;
                    }
                    one(seed, &plan, &totals);
                }
            });
        }
    });
    let failed = totals.failed.into_inner().unwrap_or_default();
    let runs = totals.runs.into_inner();
    println!(
        "{runs} runs in {:.1} s: {} records acknowledged, {} lines of trace, healed after {} ms at most, {} failed {failed:?}",
        begin.elapsed().as_secs_f64(),
        totals.acked.into_inner(),
        totals.lines.into_inner(),
        totals.slowest.into_inner(),
        failed.len(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
