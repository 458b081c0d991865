//! What happened, line by line.

use std::fmt::Display;

/// The lines of one run: all of them counted into a sum, and the last of them kept.
#[derive(Clone, Debug)]
pub struct Trace {
    sum: u64,
    lines: u64,
    kept: std::collections::VecDeque<String>,
    keep: usize,
    print: Print,
}

/// Whether lines are printed as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// They are.
    Yes,
    /// They are not.
    No,
}

impl Trace {
    /// An empty trace that keeps the last `keep` lines.
    #[must_use]
    pub fn new(keep: usize, print: Print) -> Self {
        let kept = std::collections::VecDeque::new();
        Self { sum: 0xCBF2_9CE4_8422_2325, lines: 0, kept, keep, print }
    }

    /// Adds a line.
    #[allow(clippy::print_stdout)]
    pub fn say(&mut self, now: u64, line: impl Display) {
        let line = format!("{now:>7} {line}");
        line.bytes().for_each(|byte| self.mix(u64::from(byte)));
        self.lines += 1;
        if self.print == Print::Yes {
            println!("{line}");
        }
        if self.keep > 0 {
            if self.kept.len() == self.keep {
                self.kept.pop_front();
            }
            self.kept.push_back(line);
        }
    }

    /// A step is taken, which is not worth a line: something happens at this time, under this number.
    pub fn step(&mut self, now: u64, number: u64) {
        self.mix(now);
        self.mix(number);
    }

    fn mix(&mut self, part: u64) {
        self.sum = (self.sum ^ part).wrapping_mul(0x0100_0000_01B3);
    }

    /// A sum over all lines and steps: two runs with the same sum took the same steps.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many lines there were.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.lines
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }
}
