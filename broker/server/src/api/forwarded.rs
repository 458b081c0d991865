//! What only the controller may do, and brokers hand to it (KIP-590).

use std::time::Duration;

use ottla_controller::{ApiError, Command, Reply};
use ottla_wire::ErrorCode;
use ottla_wire::api::Listener;

use crate::answer::Answer;
use crate::call::Call;

/// How long a request waits for a controller where it names no time of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rest between tries while there is no controller.
const AGAIN: Duration = Duration::from_millis(20);

/// Asks the controller, and answers when this broker has published what it did. `take` picks the
/// response out of the reply; `fail` makes one that tells the same error for every part.
pub(crate) fn forward<R, T, F>(
    call: Call,
    timeout_ms: Option<i32>,
    command: Command,
    take: T,
    fail: F,
) -> Answer<R>
where
    R: Send + 'static,
    T: FnOnce(Reply) -> Option<R> + Send + 'static,
    F: FnOnce(ApiError) -> R + Send + 'static,
{
    let given = timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    Answer::later(async move {
        match ask(&call, command, given.unwrap_or(PATIENCE)).await {
            Ok(Reply::Failed(error)) => fail(error),
            Ok(reply) => {
                take(reply).unwrap_or_else(|| fail(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)))
            }
            Err(code) => fail(ApiError::bare(code)),
        }
    })
}

/// Asks until a controller answers, or time is up. What came to a controller's listener is for this
/// node's own controller: if it is not the active one, whoever asks has to look for another.
async fn ask(call: &Call, command: Command, patience: Duration) -> Result<Reply, ErrorCode> {
    if call.session.kind == Listener::Controller {
        let asked = own(call, command).await;
        call.context.caught_up().await;
        return asked;
    }
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match call.context.controller.submit_for(Some(call.asker()), command.clone()).await {
            Err(ErrorCode::NOT_CONTROLLER) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(ErrorCode::NOT_CONTROLLER) => return Err(ErrorCode::REQUEST_TIMED_OUT),
            Err(code) => return Err(code),
            Ok(reply) => {
                call.context.caught_up().await;
                return Ok(reply);
            }
        }
    }
}

/// Asks this node's own controller.
async fn own(call: &Call, command: Command) -> Result<Reply, ErrorCode> {
    let asked = match call.context.controller.local() {
        Some(controller) => controller.submit(command).await,
        None => Err(ErrorCode::NOT_CONTROLLER),
    };
    if asked == Err(ErrorCode::NOT_CONTROLLER) {
        call.not_controller();
    }
    asked
}

/// What only nodes of the cluster ask, of this node's own controller. `take` and `fail` as in
/// [`forward`].
pub(crate) fn decide<R, T, F>(call: Call, command: Command, take: T, fail: F) -> Answer<R>
where
    R: Send + 'static,
    T: FnOnce(Reply) -> Option<R> + Send + 'static,
    F: FnOnce(ErrorCode) -> R + Send + 'static,
{
    Answer::later(async move {
        match own(&call, command).await {
            Ok(Reply::Failed(error)) => fail(error.code),
            Ok(reply) => take(reply).unwrap_or_else(|| fail(ErrorCode::UNKNOWN_SERVER_ERROR)),
            Err(code) => fail(code),
        }
    })
}
