//! CONFIG.md says what the catalog says. `UPDATE=1` writes it anew.
#![allow(clippy::disallowed_methods, reason = "the page is a file")]

use std::path::Path;

#[test]
fn config_md_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFIG.md");
    let page = ottla_config::document();
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "CONFIG.md is stale: run UPDATE=1 cargo test -p ottla-config");
}

#[test]
fn every_key_is_on_the_page() {
    let page = ottla_config::document();
    for spec in ottla_config::catalog::broker_keys().chain(ottla_config::catalog::topic_keys()) {
        assert!(page.contains(&format!("| `{}` | ", spec.name)), "{}", spec.name);
    }
}
