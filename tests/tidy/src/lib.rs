//! The walls of the house, kept by tests: which room may import which, what a pure room may not
//! touch, how long a file may be, what every file begins with, what may lie at the top.
//!
//! Invariant: reads the tree and writes nothing.

#[cfg(test)]
mod house;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod text;
#[cfg(test)]
mod walls;
