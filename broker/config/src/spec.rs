//! What is known of one key, written down once in the catalog.

use crate::valid::Valid;

/// The type of a key's value, named as Kafka names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text, trimmed.
    Str,
    /// A signed 32-bit number.
    Int,
    /// A signed 16-bit number.
    Short,
    /// A signed 64-bit number.
    Long,
    /// A 64-bit floating point number.
    Double,
    /// Comma-separated text.
    List,
    /// The name of a Java class; kept as a name here.
    Class,
    /// Text that is never shown.
    Password,
}

impl ConfigType {
    /// Kafka's name of the type, as in its documentation and messages.
    pub const fn name(self) -> &'static str {
        match self {
            ConfigType::Boolean => "BOOLEAN",
            ConfigType::Str => "STRING",
            ConfigType::Int => "INT",
            ConfigType::Short => "SHORT",
            ConfigType::Long => "LONG",
            ConfigType::Double => "DOUBLE",
            ConfigType::List => "LIST",
            ConfigType::Class => "CLASS",
            ConfigType::Password => "PASSWORD",
        }
    }

    /// The type's code in a DescribeConfigs answer (KIP-569).
    pub const fn code(self) -> i8 {
        match self {
            ConfigType::Boolean => 1,
            ConfigType::Str => 2,
            ConfigType::Int => 3,
            ConfigType::Short => 4,
            ConfigType::Long => 5,
            ConfigType::Double => 6,
            ConfigType::List => 7,
            ConfigType::Class => 8,
            ConfigType::Password => 9,
        }
    }
}

/// How much an operator should care, as Kafka ranks its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Look at it before going to production.
    High,
    /// Tuning.
    Medium,
    /// Rarely touched.
    Low,
}

impl Importance {
    /// `HIGH`, `MEDIUM` or `LOW`.
    pub const fn name(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
}

/// Whether a broker key can change while the broker runs (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMode {
    /// Only by the file and a restart.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker or for all of them.
    ClusterWide,
}

impl UpdateMode {
    /// `read-only`, `per-broker` or `cluster-wide`.
    pub const fn name(self) -> &'static str {
        match self {
            UpdateMode::ReadOnly => "read-only",
            UpdateMode::PerBroker => "per-broker",
            UpdateMode::ClusterWide => "cluster-wide",
        }
    }
}

/// Whether DescribeConfigs and the documentation show a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Shown.
    Public,
    /// Accepted but hidden, for tests and emergencies.
    Internal,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Apache Kafka's.
    Kafka,
    /// Ottla's own.
    Ottla,
}

/// What a key does here. Shown in CONFIG.md, and at start when the key is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does what it does in Kafka.
    Works,
    /// Accepted and answered, but there is nothing here for it to change; the text says why.
    NoEffect(&'static str),
    /// Accepted and answered; the feature named by the text is still to come.
    Planned(&'static str),
}

/// The value a key has when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none: the key must be set.
    Required,
    /// No value.
    Null,
    /// This text, parsed as a set value would be.
    Text(&'static str),
}

/// One key: everything that is said about it anywhere is derived from this.
#[derive(Debug)]
pub struct Spec {
    /// The key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ConfigType,
    /// Its default.
    pub default: DefaultValue,
    /// Which values of the type are allowed.
    pub valid: Valid,
    /// Kafka's rank.
    pub importance: Importance,
    /// When a broker key may change. Keys of other resources are never read-only.
    pub mode: UpdateMode,
    /// Whether it is shown.
    pub visibility: Visibility,
    /// Whose it is.
    pub origin: Origin,
    /// For topic and group keys: the broker keys that give the default, strongest first.
    pub synonyms: &'static [&'static str],
    /// One sentence.
    pub doc: &'static str,
    /// What it does here.
    pub standing: Standing,
}

impl Spec {
    /// A key of this name with a null default, medium importance, read-only, that works.
    pub const fn new(name: &'static str, kind: ConfigType, doc: &'static str) -> Spec {
        Spec {
            name,
            kind,
            default: DefaultValue::Null,
            valid: Valid::Any,
            importance: Importance::Medium,
            mode: UpdateMode::ReadOnly,
            visibility: Visibility::Public,
            origin: Origin::Kafka,
            synonyms: &[],
            doc,
            standing: Standing::Works,
        }
    }

    /// Sets the default.
    pub const fn default(self, text: &'static str) -> Spec {
        Spec { default: DefaultValue::Text(text), ..self }
    }

    /// Makes the key mandatory.
    pub const fn required(self) -> Spec {
        Spec { default: DefaultValue::Required, ..self }
    }

    /// Limits the values.
    pub const fn valid(self, valid: Valid) -> Spec {
        Spec { valid, ..self }
    }

    /// Limits a number from below.
    pub const fn min(self, least: i64) -> Spec {
        self.valid(Valid::AtLeast(least))
    }

    /// Limits a number from both sides, inclusive.
    pub const fn range(self, least: i64, most: i64) -> Spec {
        self.valid(Valid::Between(least, most))
    }

    /// Ranks it high.
    pub const fn high(self) -> Spec {
        Spec { importance: Importance::High, ..self }
    }

    /// Ranks it low.
    pub const fn low(self) -> Spec {
        Spec { importance: Importance::Low, ..self }
    }

    /// Lets it change at run time, for one broker or all.
    pub const fn cluster_wide(self) -> Spec {
        Spec { mode: UpdateMode::ClusterWide, ..self }
    }

    /// Lets it change at run time, for one broker at a time.
    pub const fn per_broker(self) -> Spec {
        Spec { mode: UpdateMode::PerBroker, ..self }
    }

    /// Hides it.
    pub const fn internal(self) -> Spec {
        Spec { visibility: Visibility::Internal, ..self }
    }

    /// Marks it as Ottla's own.
    pub const fn ottla(self) -> Spec {
        Spec { origin: Origin::Ottla, ..self }
    }

    /// Names the broker keys that give its default, strongest first.
    pub const fn synonyms(self, names: &'static [&'static str]) -> Spec {
        Spec { synonyms: names, ..self }
    }

    /// Says that setting it changes nothing here, and why.
    pub const fn no_effect(self, why: &'static str) -> Spec {
        Spec { standing: Standing::NoEffect(why), ..self }
    }

    /// Says that the feature it belongs to is still to come.
    pub const fn planned(self, feature: &'static str) -> Spec {
        Spec { standing: Standing::Planned(feature), ..self }
    }

    /// True for secrets, which no answer ever shows.
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.kind, ConfigType::Password)
    }

    /// True for keys that DescribeConfigs leaves out.
    pub const fn is_internal(&self) -> bool {
        matches!(self.visibility, Visibility::Internal)
    }
}
