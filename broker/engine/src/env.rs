//! What the engine asks of the world: the time.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ottla_machine::{Mono, Time};

/// Tells the time. Everything in the engine that needs it asks here, so that a simulation can say
/// what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks, at one instant.
    fn now(&self) -> Time;

    /// The monotonic clock alone.
    fn mono(&self) -> Mono {
        self.now().mono
    }

    /// The wall clock alone, in milliseconds since 1970.
    fn wall_ms(&self) -> i64 {
        self.now().wall_ms
    }
}

/// The clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts at zero now.
    #[must_use]
    pub fn start() -> Arc<Self> {
        Arc::new(Self { origin: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time { mono: self.mono(), wall_ms: self.wall_ms() }
    }

    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
