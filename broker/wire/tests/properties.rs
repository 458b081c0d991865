//! Laws of every message in every version, on values made by chance.

use ottla_wire::testing::{Mutator, Probe, probes};
use proptest::prelude::*;

/// Entropy bytes of the larger samples.
const ENTROPY: usize = 600;

fn every_version() -> Vec<(&'static Probe, i16)> {
    probes().flat_map(|p| p.versions.iter().map(move |version| (p, version))).collect()
}

fn check(probe: &Probe, version: i16, entropy: &[u8]) -> Result<(), TestCaseError> {
    let what = format!("{} v{version}", probe.name);
    let sampled = (probe.sample)(entropy, version)
        .map_err(|e| TestCaseError::fail(format!("{what} does not encode: {e}")))?;
    prop_assert_eq!(&sampled.decoded, &Ok((0, true)), "{}", what);
    // A message cut short is an error, never a shorter message.
    let cut = sampled.bytes.slice(..sampled.bytes.len().saturating_sub(1));
    if cut.len() < sampled.bytes.len() {
        let short = (probe.recode)(cut, version).map(|r| r.dump);
        prop_assert!(short.is_err(), "{} of one byte less: {:?}", what, short);
    }
    Ok(())
}

#[test]
fn every_version_reads_what_it_wrote() {
    let mut chance = Mutator::new(1);
    for (probe, version) in every_version() {
        for size in [0, 20, 100, ENTROPY, ENTROPY] {
            let entropy = chance.bytes(size);
            check(probe, version, &entropy).unwrap_or_else(|e| panic!("{e}, of {entropy:?}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_version_reads_what_it_wrote(
        which in any::<prop::sample::Index>(),
        entropy in prop::collection::vec(any::<u8>(), 0..ENTROPY),
    ) {
        let all = every_version();
        let (probe, version) = *which.get(&all);
        check(probe, version, &entropy)?;
    }
}
