//! Every key takes the values that Apache Kafka 4.3.1 takes for it at start, and no others.
//!
//! `data/accepted-values.tsv` has the values tried in its first line, and then for each key a sign
//! for each value: `+` taken, `-` refused, each with all other keys as in `FILE`. Keys of type CLASS
//! are not in it: Kafka takes what its class path has.

use ottla_config::{File, NoSurroundings, parse};

const FILE: &str = "\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:9093
log.dirs=/tmp/x
";

#[test]
fn values_are_taken_and_refused_as_by_kafka() {
    let mut lines = include_str!("data/accepted-values.tsv").lines();
    let values: Vec<&str> = lines.next().expect("the values").split('\t').skip(1).collect();
    let mut tried = 0;
    let mut wrong = Vec::new();
    for line in lines {
        let (key, signs) = line.split_once('\t').expect("a key and its signs");
        assert_eq!(signs.len(), values.len(), "{key}");
        for (value, sign) in values.iter().zip(signs.chars()).filter(|(_, sign)| *sign != '?') {
            tried += 1;
            let file = File { name: "server.properties", text: FILE };
            let taken = parse(Some(file), &[format!("{key}={value}")], &NoSurroundings);
            if taken.is_ok() != (sign == '+') {
                wrong.push(format!("{key}={value}: {sign} in Kafka, {:?} here", taken.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried > 14_000, "only {tried} values were tried");
}
