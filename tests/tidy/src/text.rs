//! How files look.

use crate::house::{ROOMS, files, root, shown, sources, without_tests};

/// The most lines a source file may have, its tests left out.
const MOST_LINES: usize = 800;

#[test]
fn files_are_not_too_long() {
    let mut long = Vec::new();
    for file in ROOMS.iter().flat_map(sources) {
        let text = std::fs::read_to_string(&file).expect("a source is text");
        let lines = without_tests(&text).lines().count();
        if lines > MOST_LINES {
            long.push(format!("{}: {lines}", shown(&file)));
        }
    }
    assert!(long.is_empty(), "over {MOST_LINES} lines without tests: {long:#?}");
}

#[test]
fn rooms_say_what_they_are() {
    for room in ROOMS {
        let src = root().join("broker").join(room.folder).join("src");
        for entry in ["lib.rs", "main.rs"] {
            let Ok(text) = std::fs::read_to_string(src.join(entry)) else { continue };
            assert!(
                text.starts_with("//! "),
                "{}/src/{entry} does not begin with what it is",
                room.folder
            );
            if entry == "lib.rs" && room.folder != "wire/derive" {
                assert!(
                    text.contains("Invariant:"),
                    "{}/src/lib.rs states no invariant",
                    room.folder
                );
            }
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in pieces, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ign", "ore"),
        concat!("allow(dead", "_code)"),
        concat!("@pytest.mark.", "skip"),
    ];
    let mut found = Vec::new();
    for file in files(
        &root(),
        &[".rs", ".py", ".sh", ".java", ".go", ".js", ".c", "/suite", "/run", "/install"],
    ) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|m| line.contains(**m)) {
                found.push(format!("{}:{}: {mark}", shown(&file), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_holds_what_it_may() {
    let may = [
        "Cargo.toml",
        "Cargo.lock",
        "broker",
        "operator",
        "charts",
        "crds",
        "dockerfiles",
        "tests",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        "SECURITY.md",
        "rust-toolchain.toml",
        "target",
        "ottla-data",
    ];
    for entry in std::fs::read_dir(root()).expect("the checkout can be listed").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || may.contains(&name.as_str()),
            "{name} has no place at the top"
        );
    }
}

#[test]
fn documents_are_there_and_short() {
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"] {
        assert!(root().join(name).exists(), "{name} is missing");
    }
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is text");
    assert!(text.lines().count() <= 250, "ARCHITECTURE.md has more than 250 lines");
    for room in ROOMS.iter().filter(|r| root().join("broker").join(r.folder).exists()) {
        assert!(text.contains(room.folder), "ARCHITECTURE.md does not tell of {}", room.folder);
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml"))
        .expect("it is text")
        .parse()
        .expect("a manifest is TOML");
    let table =
        manifest["workspace"]["dependencies"].as_table().expect("the workspace has dependencies");
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is text");
    let missing: Vec<_> = table
        .keys()
        .filter(|k| !k.starts_with("ottla") && !text.contains(&format!("`{k}`")))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md gives no reason for {missing:?}");
}

#[test]
fn nothing_names_this_machine() {
    let home = concat!("/ro", "ot/");
    let work = concat!("/wo", "rk/");
    for file in files(
        &root(),
        &[
            ".rs", ".md", ".toml", ".py", ".sh", ".java", ".go", ".js", ".c", ".yaml", "/suite",
            "/run",
        ],
    ) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let names = line.contains(home) || line.contains(work);
            assert!(!names, "{}:{} names a path of one machine", shown(&file), number + 1);
        }
    }
}
