//! A run is a function of its seed.

use ottla_sim::whole::plan::Scope;
use ottla_sim::{Print, Trace, run, whole};

#[test]
fn the_same_seed_twice_prints_the_same_trace() {
    let lines = |seed| {
        let outcome = run(seed, Trace::new(usize::MAX, Print::No));
        assert_eq!(outcome.violation, None);
        assert!(outcome.acked > 0, "nothing was acknowledged");
        let lines: Vec<_> = outcome.trace.last().map(str::to_owned).collect();
        (lines, outcome.trace.sum())
    };
    let ((first, sum), (second, sum_again)) = (lines(11), lines(11));
    assert!(first.len() > 100, "{} lines", first.len());
    let differs = first.iter().zip(&second).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(first.len(), second.len());
    assert_eq!(sum, sum_again, "the same lines, but not the same steps");
    assert_ne!(first, lines(12).0);
}

/// Two runs are the same to the last step only where tokio's own chance follows from the seed, which the suite sees to.
#[test]
fn whole_nodes_lose_nothing() {
    for (scope, seed) in (0..3).flat_map(|seed| [(Scope::Quorum, seed), (Scope::Nodes, seed)]) {
        let outcome = whole::run(scope, seed, Trace::new(40, Print::No));
        let last: Vec<_> = outcome.trace.last().collect();
        assert_eq!(outcome.violation, None, "{scope:?}, seed {seed}: {last:#?}");
        assert!(outcome.acked > 0, "{scope:?}, seed {seed}: nothing was acknowledged");
    }
}

#[cfg(tokio_unstable)]
#[test]
fn the_same_seed_of_whole_nodes_twice_prints_the_same_trace() {
    for scope in [Scope::Quorum, Scope::Nodes] {
        let lines = |seed| {
            let outcome = whole::run(scope, seed, Trace::new(usize::MAX, Print::No));
            let lines: Vec<_> = outcome.trace.last().map(str::to_owned).collect();
            (lines, outcome.trace.sum())
        };
        let ((first, sum), (second, sum_again)) = (lines(5), lines(5));
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None);
        assert_eq!((first.len(), sum), (second.len(), sum_again));
        assert_ne!(first, lines(6).0);
    }
}
