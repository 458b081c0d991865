//! Values that stand elsewhere: `${env:VAR}`, `${file:/path:key}` and `${dir:/path:file}`.
//!
//! These three are always there. `config.providers` may give them further names, as Kafka does:
//! `config.providers=secrets` and `config.providers.secrets.class=...FileConfigProvider`. A name
//! that nobody declared is left as it stands in the value.

use std::collections::BTreeMap;

use crate::properties;

/// How the process reaches its environment and its files. Given by the caller, because this room
/// does no I/O.
pub trait Surroundings {
    /// A variable of the environment.
    fn env(&self, name: &str) -> Option<String>;
    /// The text of a file; the error says why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// Surroundings that are empty: for defaults and for tests.
#[derive(Debug, Clone, Copy)]
pub struct NoSurroundings;

impl Surroundings for NoSurroundings {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// Why a reference cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No such variable.
    #[error("the environment has no variable {0}")]
    Variable(String),
    /// The file cannot be read.
    #[error("{path} cannot be read: {why}")]
    File {
        /// Its path.
        path: String,
        /// The system's reason.
        why: String,
    },
    /// The file is there, but not the key in it.
    #[error("{path} has no key {key}")]
    Key {
        /// The properties file.
        path: String,
        /// The key that is not in it.
        key: String,
    },
    /// The reference lacks its path, or names a file outside of its directory.
    #[error("${{{0}}} is not ${{file:PATH:KEY}} or ${{dir:PATH:FILE}}")]
    Form(String),
    /// The path is not under `allowed.paths` of the provider.
    #[error("{0} is not under the provider's allowed.paths")]
    NotAllowed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Env,
    File,
    Dir,
}

/// The providers of one node: their names, and where each may look.
pub struct Providers<'a> {
    kinds: BTreeMap<String, (Kind, Vec<String>)>,
    surroundings: &'a dyn Surroundings,
}

impl std::fmt::Debug for Providers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl<'a> Providers<'a> {
    /// The three providers that are always there, and those that the settings declare.
    pub fn new<'s>(
        setting: impl Fn(&str) -> Option<&'s str>,
        surroundings: &'a dyn Surroundings,
    ) -> Providers<'a> {
        let mut kinds = BTreeMap::new();
        let paths = |name: &str| -> Vec<String> {
            setting(&format!("config.providers.{name}.param.allowed.paths"))
                .map(crate::value::split_list)
                .unwrap_or_default()
        };
        for (name, kind) in [("env", Kind::Env), ("file", Kind::File), ("dir", Kind::Dir)] {
            kinds.insert(name.to_owned(), (kind, paths(name)));
        }
        for name in setting("config.providers").map(crate::value::split_list).unwrap_or_default() {
            let class = setting(&format!("config.providers.{name}.class")).unwrap_or_default();
            let kind = match class.rsplit('.').next() {
                Some("EnvVarConfigProvider") => Kind::Env,
                Some("FileConfigProvider") => Kind::File,
                Some("DirectoryConfigProvider") => Kind::Dir,
                _ => continue,
            };
            let allowed = paths(&name);
            kinds.insert(name, (kind, allowed));
        }
        Providers { kinds, surroundings }
    }

    /// Puts what they stand for in the place of all references in a value.
    pub fn resolve(&self, value: &str) -> Result<String, ProviderError> {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(start) = rest.find("${") {
            let (before, opened) = rest.split_at(start);
            out.push_str(before);
            let Some(end) = opened.find('}') else {
                rest = opened;
                break;
            };
            let (reference, after) = opened.split_at(end + 1);
            let inner = reference.get(2..end).unwrap_or_default();
            match self.look_up(inner)? {
                Some(found) => out.push_str(&found),
                None => out.push_str(reference),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn look_up(&self, inner: &str) -> Result<Option<String>, ProviderError> {
        let Some((name, what)) = inner.split_once(':') else { return Ok(None) };
        let Some((kind, allowed)) = self.kinds.get(name) else { return Ok(None) };
        if *kind == Kind::Env {
            let found = self.surroundings.env(what);
            return found.map(Some).ok_or_else(|| ProviderError::Variable(what.to_owned()));
        }
        let form = || ProviderError::Form(inner.to_owned());
        let (path, key) = what.split_once(':').ok_or_else(form)?;
        if !is_allowed(path, allowed) {
            return Err(ProviderError::NotAllowed(path.to_owned()));
        }
        if *kind == Kind::Dir {
            if key.is_empty() || key.contains('/') || key == ".." {
                return Err(form());
            }
            return self.read(&format!("{}/{key}", path.trim_end_matches('/'))).map(Some);
        }
        let text = self.read(path)?;
        let entries = properties::read(&text)
            .map_err(|bad| ProviderError::File { path: path.to_owned(), why: bad.to_string() })?;
        let found = entries.into_iter().rev().find(|entry| entry.key == key);
        let missing = || ProviderError::Key { path: path.to_owned(), key: key.to_owned() };
        found.map(|entry| Some(entry.value)).ok_or_else(missing)
    }

    fn read(&self, path: &str) -> Result<String, ProviderError> {
        let failed = |why| ProviderError::File { path: path.to_owned(), why };
        self.surroundings.file(path).map_err(failed)
    }
}

fn is_allowed(path: &str, allowed: &[String]) -> bool {
    let under = |root: &String| {
        let root = root.trim_end_matches('/');
        path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
    };
    let climbs = path.split('/').any(|part| part == "..");
    allowed.is_empty() || (!climbs && allowed.iter().any(under))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Surroundings for Fake {
        fn env(&self, name: &str) -> Option<String> {
            (name == "PORT").then(|| "9092".to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            match path {
                "/s/pw.properties" => Ok("a=1\nkey\\:x = two words\na=2\n".to_owned()),
                "/run/secret/token" => Ok("t0ken\n".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }
    }

    fn resolve(value: &str) -> Result<String, ProviderError> {
        Providers::new(|_| None, &Fake).resolve(value)
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        assert_eq!(resolve("h:${env:PORT},b:${env:PORT}").as_deref(), Ok("h:9092,b:9092"));
        assert_eq!(resolve("${file:/s/pw.properties:a}").as_deref(), Ok("2"));
        assert_eq!(resolve("${file:/s/pw.properties:key:x}").as_deref(), Ok("two words"));
        assert_eq!(resolve("${dir:/run/secret:token}").as_deref(), Ok("t0ken\n"));
    }

    #[test]
    fn what_is_no_reference_stays() {
        for value in ["$", "${", "${}", "${env}", "${other:x}", "a${env:PORT", "}{"] {
            assert_eq!(resolve(value).as_deref(), Ok(value));
        }
    }

    #[test]
    fn what_cannot_be_resolved_says_so() {
        for (value, part) in [
            ("${env:NO}", "no variable NO"),
            ("${file:/none:a}", "no such file"),
            ("${file:/s/pw.properties:b}", "no key b"),
            ("${file:a}", "${file:PATH:KEY}"),
            ("${dir:/run/secret:../x}", "${dir:PATH:FILE}"),
        ] {
            let error = resolve(value).expect_err(value).to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    #[test]
    fn providers_can_have_other_names_and_may_be_limited() {
        let setting = |key: &str| match key {
            "config.providers" => Some("vault, other"),
            "config.providers.vault.class" => {
                Some("org.apache.kafka.common.config.provider.FileConfigProvider")
            }
            "config.providers.vault.param.allowed.paths" => Some("/s"),
            _ => None,
        };
        let providers = Providers::new(setting, &Fake);
        assert_eq!(providers.resolve("${vault:/s/pw.properties:a}").as_deref(), Ok("2"));
        for path in ["/run/secret/token", "/s/../run", "/sx"] {
            let error = providers.resolve(&format!("${{vault:{path}:a}}")).expect_err(path);
            assert_eq!(error, ProviderError::NotAllowed(path.to_owned()));
        }
        assert_eq!(providers.resolve("${other:x}").as_deref(), Ok("${other:x}"));
    }
}
