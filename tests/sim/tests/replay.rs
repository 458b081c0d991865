//! A run is a function of its seed.

use ottla_sim::{Print, Trace, run};

#[test]
fn the_same_seed_twice_prints_the_same_trace() {
    let lines = |seed| {
        let outcome = run(seed, Trace::new(usize::MAX, Print::No));
        assert_eq!(outcome.violation, None);
        assert!(outcome.acked > 0, "nothing was acknowledged");
        outcome.trace.last().map(str::to_owned).collect::<Vec<_>>()
    };
    let (first, second) = (lines(11), lines(11));
    assert!(first.len() > 500, "{} lines", first.len());
    let differs = first.iter().zip(&second).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(first.len(), second.len());
    assert_ne!(first, lines(12));
}
