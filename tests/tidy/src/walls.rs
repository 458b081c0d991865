//! Which room may import which, and what pure rooms may not touch.

use std::collections::BTreeMap;

use crate::house::{ROOMS, Room, root, shown, sources, without_tests};

fn manifest(room: &Room) -> Option<toml::Table> {
    let file = root().join("broker").join(room.folder).join("Cargo.toml");
    Some(std::fs::read_to_string(file).ok()?.parse().expect("a manifest is TOML"))
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn every_room_is_on_the_plan() {
    let mut unknown = Vec::new();
    for file in crate::house::files(&root().join("broker"), &["Cargo.toml"]) {
        let folder = shown(file.parent().expect("a manifest lies in a folder"));
        let folder = folder.trim_start_matches("broker/").to_string();
        if !folder.ends_with("fuzz") && !ROOMS.iter().any(|r| r.folder == folder) {
            unknown.push(folder);
        }
    }
    assert!(unknown.is_empty(), "rooms that house.rs does not list: {unknown:?}");
}

#[test]
fn lower_floors_never_import_higher_ones() {
    let mut floors = BTreeMap::new();
    for room in ROOMS {
        if let Some(m) = manifest(room) {
            let name = m["package"]["name"].as_str().expect("a package has a name").to_string();
            floors.insert(name, room.floor);
        }
    }
    let mut wrong = Vec::new();
    for room in ROOMS {
        for dependency in manifest(room).map(|m| dependencies(&m)).unwrap_or_default() {
            let Some(&floor) = floors.get(&dependency) else { continue };
            if floor >= room.floor {
                wrong.push(format!(
                    "{} (floor {}) imports {dependency} (floor {floor})",
                    room.folder, room.floor
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_quorum_names_openraft() {
    for room in ROOMS.iter().filter(|r| r.folder != "quorum") {
        let named = manifest(room).map(|m| dependencies(&m)).unwrap_or_default();
        assert!(!named.iter().any(|d| d == "openraft"), "{} names openraft", room.folder);
    }
}

#[test]
fn pure_rooms_touch_nothing() {
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::time::Instant",
        "std::time::SystemTime",
        "std::process",
        "std::env",
        "HashMap",
        "HashSet",
        "tokio",
        "thread_local!",
        "static mut",
    ];
    let mut wrong = Vec::new();
    for room in ROOMS.iter().filter(|r| r.pure) {
        for dependency in manifest(room).map(|m| dependencies(&m)).unwrap_or_default() {
            if ["tokio", "rand", "rustix", "libc", "tracing"].contains(&dependency.as_str()) {
                wrong.push(format!("{} depends on {dependency}", room.folder));
            }
        }
        for file in sources(room) {
            let text = std::fs::read_to_string(&file).expect("a source is text");
            for (number, line) in without_tests(&text).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in banned.iter().filter(|w| code.contains(**w)) {
                    wrong.push(format!("{}:{}: {word}", shown(&file), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "pure rooms touch what they must not:\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_have_their_lints() {
    for room in ROOMS.iter().filter(|r| r.pure) {
        let file = root().join("broker").join(room.folder).join("clippy.toml");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains("std::time::Instant::now"), "{} bars no clock", shown(&file));
    }
}
