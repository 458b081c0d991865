use super::*;
use proptest::prelude::*;

const STALE: u64 = 60_000;

fn point(family: &str, temporality: Temporality, value: f64) -> Point {
    let shape = if temporality == Temporality::Delta { Shape::Counter } else { Shape::Gauge };
    let labels = "topic=\"t\"".to_owned();
    Point { family: family.to_owned(), shape, suffix: "", labels, temporality, value }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

#[test]
fn what_counts_what_came_adds_up_and_others_are_replaced() {
    let mut store = Store::default();
    for at in 0..3 {
        let delta = point("a_total", Temporality::Delta, 2.0);
        let whole = point("b", Temporality::Whole, at as f64);
        assert_eq!(store.record(Mono(at), id(1), "me \"x\"", vec![delta, whole], STALE), 0);
    }
    let own = format!("client_id=\"me \\\"x\\\"\",client_instance_id=\"{}\",topic=\"t\"", id(1));
    let want =
        format!("# TYPE a_total counter\na_total{{{own}}} 6\n# TYPE b gauge\nb{{{own}}} 2\n");
    assert_eq!(store.snapshot().text(), want);
}

#[test]
fn families_stand_together_and_say_what_all_agree_on() {
    let mut store = Store::default();
    store.record(Mono(0), id(1), "a", vec![point("f", Temporality::Whole, 1.0)], STALE);
    store.record(Mono(0), id(2), "b", vec![point("f", Temporality::Delta, 1.0)], STALE);
    store.record(Mono(0), id(2), "b", vec![point("e", Temporality::Whole, 1.0)], STALE);
    let text = store.snapshot().text();
    let kinds: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(kinds, ["# TYPE e gauge", "# TYPE f untyped"]);
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn what_is_not_said_again_is_forgotten() {
    let mut store = Store::default();
    let of = |family| vec![point(family, Temporality::Whole, 1.0)];
    store.record(Mono(0), id(1), "a", of("old"), STALE);
    store.record(Mono(STALE - 1), id(1), "a", of("new"), STALE);
    assert!(store.snapshot().text().contains("old"));
    store.record(Mono(STALE), id(1), "a", of("new"), STALE);
    assert!(!store.snapshot().text().contains("old"));
    store.forget(id(1));
    assert_eq!((store.snapshot().text().as_str(), store.bytes()), ("", 0));
}

#[test]
fn the_store_is_bounded() {
    let mut store = Store::default();
    let many = |instance: usize| {
        let name = |i: usize| format!("{}{instance}_{i}", "x".repeat(200));
        (0..MAX_SERIES + 3).map(|i| point(&name(i), Temporality::Whole, 1.0)).collect()
    };
    for instance in 0..60 {
        let left_out = store.record(Mono(0), id(instance as u128), "a", many(instance), STALE);
        assert_eq!(left_out, 3);
        assert!(store.bytes() <= MAX_STORE_BYTES);
    }
    // The last ones are kept, and those that had been silent longest are gone.
    assert!((10..60).contains(&store.instances()), "{}", store.instances());
    let text = store.snapshot().text();
    assert!(text.contains("x59_0{") && !text.contains("x0_0{"));
}

#[test]
fn ten_thousand_instances() {
    let mut store = Store::default();
    for n in 0..10_000 {
        store.record(Mono(0), id(n), "a", vec![point("f", Temporality::Whole, 1.0)], STALE);
    }
    assert_eq!(store.instances(), 10_000);
    assert_eq!(store.snapshot().text().lines().count(), 10_001);
    for n in 0..10_000 {
        store.forget(id(n));
    }
    assert_eq!((store.instances(), store.bytes()), (0, 0));
}

proptest! {
    /// The count of bytes is that of what is held, whatever came and went.
    #[test]
    fn bytes_are_counted(steps in prop::collection::vec((0u128..5, 0u8..3, 0u64..40_000), 0..60)) {
        let mut store = Store::default();
        let mut now = 0;
        for (instance, what, later) in steps {
            now += later;
            if what == 0 {
                store.forget(id(instance));
            } else {
                let family = format!("f{}", later % 7);
                let points = vec![point(&family, Temporality::Whole, 1.0)];
                store.record(Mono(now), id(instance), "a", points, STALE);
            }
            let held: usize = store.instances.values().map(|held| held.bytes).sum();
            prop_assert_eq!(store.bytes(), held);
            prop_assert_eq!(store.order.len(), store.instances());
            for held in store.instances.values() {
                let series: usize = held.series.keys().map(Name::cost).sum();
                prop_assert_eq!(held.bytes, held.labels.len() + series);
            }
        }
    }
}
