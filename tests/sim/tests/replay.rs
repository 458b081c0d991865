//! A run is a function of its seed.

use ottla_sim::{Print, Trace, run};

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
