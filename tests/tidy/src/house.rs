//! What the tests look at: the rooms, their floors and their files.

use std::path::{Path, PathBuf};

/// A room under `broker/`: its folder, its floor, and whether it is pure.
pub(crate) struct Room {
    pub(crate) folder: &'static str,
    pub(crate) floor: u8,
    pub(crate) pure: bool,
}

const fn room(folder: &'static str, floor: u8, pure: bool) -> Room {
    Room { folder, floor, pure }
}

/// The rooms, as ARCHITECTURE.md tells them. Lower floors never import higher ones.
pub(crate) const ROOMS: &[Room] = &[
    room("wire/derive", 0, false),
    room("wire", 1, true),
    room("config", 1, true),
    room("machine", 1, true),
    room("metadata", 2, true),
    room("replica", 2, true),
    room("telemetry", 2, true),
    room("log", 2, false),
    room("net", 2, false),
    room("controller", 3, true),
    room("coordinator", 3, true),
    room("quorum/histogram", 0, false),
    room("quorum", 3, false),
    room("client", 3, false),
    room("engine", 4, false),
    room("server", 5, false),
    room("console", 5, false),
    room("cli", 6, false),
];

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    // Without the way through `tests/`, which `sources` would take for a folder of tests.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// All files below a folder with one of these endings, in order, build output and data left out.
pub(crate) fn files(below: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![below.to_path_buf()];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let skipped =
                    ["target", "data", "golden", "node_modules", "__pycache__", "ottla-data"];
                if !name.starts_with('.') && !skipped.contains(&name.as_str()) {
                    todo.push(path);
                }
            } else if endings.iter().any(|e| name.ends_with(e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The Rust sources of a room, tests, benches and examples left out.
pub(crate) fn sources(room: &Room) -> Vec<PathBuf> {
    let mut all = files(&root().join("broker").join(room.folder).join("src"), &[".rs"]);
    all.retain(|p| p.file_name().is_some_and(|n| n != "tests.rs"));
    all.retain(|p| !p.components().any(|c| c.as_os_str() == "tests"));
    all
}

/// A file's text without its unit tests.
pub(crate) fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

/// A path as it is written from the top of the checkout.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
