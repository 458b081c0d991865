//! Trying again, with pauses that grow, until a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::{ClientError, Options};

/// The pauses of one call.
#[derive(Debug)]
pub(crate) struct Retry {
    begun: Instant,
    within: Duration,
    next: Duration,
    max: Duration,
}

impl Retry {
    pub(crate) fn new(options: &Options) -> Self {
        Self::within(options, options.deadline)
    }

    pub(crate) fn within(options: &Options, within: Duration) -> Self {
        Self { begun: Instant::now(), within, next: options.backoff, max: options.max_backoff }
    }

    /// Waits before the next try; the error back if it is not worth one or the time is up.
    pub(crate) async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_retriable() {
            return Err(error);
        }
        if self.begun.elapsed() + self.next >= self.within {
            return Err(ClientError::Deadline { within: self.within, last: Box::new(error) });
        }
        if self.next >= self.max {
            tracing::warn!("{error}; trying again");
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(self.max);
        Ok(())
    }
}

/// Calls until it succeeds, fails for good, or the deadline is over.
pub(crate) async fn retry<T, F>(
    options: &Options,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut retry = Retry::new(options);
    loop {
        match call().await {
            Ok(done) => return Ok(done),
            Err(error) => retry.pause(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiError;
    use ottla_wire::ErrorCode;

    fn options() -> Options {
        let mut options = Options::new("localhost:1", "test").unwrap();
        options.backoff = Duration::from_millis(1);
        options.max_backoff = Duration::from_millis(4);
        options.deadline = Duration::from_millis(200);
        options
    }

    fn error(code: ErrorCode) -> ClientError {
        ClientError::Api(ApiError { code, message: None })
    }

    async fn run(code: ErrorCode, failures: u32) -> (Result<u32, ClientError>, u32) {
        let mut calls = 0;
        let options = options();
        let result = retry(&options, || {
            calls += 1;
            let now = calls;
            async move { if now > failures { Ok(now) } else { Err(error(code)) } }
        });
        let result = result.await;
        (result, calls)
    }

    #[tokio::test]
    async fn only_what_may_succeed_is_tried_again() {
        assert_eq!(run(ErrorCode::NOT_CONTROLLER, 3).await.0.unwrap(), 4);
        let (result, calls) = run(ErrorCode::TOPIC_ALREADY_EXISTS, 3).await;
        assert_eq!((result.unwrap_err().code(), calls), (Some(ErrorCode::TOPIC_ALREADY_EXISTS), 1));
        let (result, calls) = run(ErrorCode::NOT_CONTROLLER, u32::MAX).await;
        assert!(matches!(result, Err(ClientError::Deadline { .. })));
        assert!(calls > 3);
    }
}
