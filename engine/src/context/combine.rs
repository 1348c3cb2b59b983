//! The only combinators of workflows: both poll their parts in the order given, so that replay takes the same way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for all parts.
#[must_use = "futures run only when they are awaited"]
pub struct All<F: Future> {
    parts: Vec<Part<F>>,
}

enum Part<F: Future> {
    Waiting(Pin<Box<F>>),
    Done(Option<F::Output>),
}

impl<F: Future> All<F> {
    pub(super) fn new(futures: impl IntoIterator<Item = F>) -> Self {
        Self { parts: futures.into_iter().map(|future| Part::Waiting(Box::pin(future))).collect() }
    }
}

impl<F: Future> Unpin for All<F> {}

impl<F: Future> Future for All<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = false;
        for part in &mut self.parts {
            if let Part::Waiting(future) = part {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *part = Part::Done(Some(output)),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            return Poll::Pending;
        }
        let take = |part: &mut Part<F>| match part {
            Part::Done(output) => output.take(),
            Part::Waiting(_) => None,
        };
        Poll::Ready(self.parts.iter_mut().filter_map(take).collect())
    }
}

/// The one of two that came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<A, B> {
    /// The first one did.
    First(A),
    /// The second one did.
    Second(B),
}

/// Waits for the first of two; the other is dropped, which gives it up.
#[must_use = "futures run only when they are awaited"]
pub struct Race<A, B> {
    parts: Option<Runners<A, B>>,
}

type Runners<A, B> = (Pin<Box<A>>, Pin<Box<B>>);

impl<A, B> Race<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { parts: Some((Box::pin(first), Box::pin(second))) }
    }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((first, second)) = self.parts.as_mut() else {
            return Poll::Pending;
        };
        let winner = match first.as_mut().poll(cx) {
            Poll::Ready(output) => Either::First(output),
            Poll::Pending => match second.as_mut().poll(cx) {
                Poll::Ready(output) => Either::Second(output),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.parts = None;
        Poll::Ready(winner)
    }
}
