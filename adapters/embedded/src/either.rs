//! Two things at once, on any executor.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// Which of two was done first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for one of two; the first wins if both are there.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}
