//! A body, read whole: bounded in size and in time, with all others in what they take together, and with those of the same
//! address in its share of that.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::error::Refusal;
use crate::room::{Corner, Held};

/// How much more is read and thrown away, so that a client that is still sending gets to read the refusal.
const DRAINED_BYTES_MAX: usize = 1 << 20;

/// What comes in more than one piece is collected in `room`.
pub async fn read(
    body: Body,
    bytes_max: usize,
    patience: Duration,
    room: Corner<'_>,
) -> Result<Bytes, Refusal> {
    let reading = tokio::time::timeout(patience, read_bounded(body, bytes_max, room));
    reading.await.unwrap_or(Err(Refusal::TooSlow))
}

async fn read_bounded(mut body: Body, bytes_max: usize, room: Corner<'_>) -> Result<Bytes, Refusal> {
    let (mut kept, mut seen) = (Ok(Kept::default()), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::Bad(format!("failed to read the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > bytes_max.saturating_add(DRAINED_BYTES_MAX) {
            break;
        }
        // Of what is refused nothing is kept.
        kept = match kept {
            Ok(_) if seen > bytes_max => Err(Refusal::TooLarge),
            Ok(kept) => kept.with(data, room),
            refused => refused,
        };
    }
    kept.map(Kept::whole)
}

/// Reads on for a while what nobody wants, so that a client that is still sending gets to read the refusal.
pub async fn drain(body: &mut Body, patience: Duration) {
    let reading = async {
        let mut seen = 0;
        while seen <= DRAINED_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            seen += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whoever says nothing for so long is not sending.
    let _ = tokio::time::timeout(patience, reading).await;
}

/// Mostly a body comes in one piece, which needs not be copied.
#[derive(Default)]
struct Kept<'a> {
    first: Bytes,
    all: BytesMut,
    held: Option<Held<'a>>,
}

impl<'a> Kept<'a> {
    fn with(mut self, data: Bytes, room: Corner<'a>) -> Result<Self, Refusal> {
        if self.first.is_empty() {
            return Ok(Self { first: data, ..self });
        }
        if self.all.is_empty() {
            self.add(&self.first.clone(), room)?;
        }
        self.add(&data, room)?;
        Ok(self)
    }

    fn add(&mut self, data: &[u8], room: Corner<'a>) -> Result<(), Refusal> {
        self.held = Some(room.grow(self.held.take(), data.len()).ok_or(Refusal::Busy)?);
        self.all.extend_from_slice(data);
        Ok(())
    }

    fn whole(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;
    use crate::room::Room;

    struct Pieces(VecDeque<&'static str>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece.into()))))
        }
    }

    fn body(pieces: &[&'static str]) -> Body {
        Body::new(Pieces(pieces.iter().copied().collect()))
    }

    #[tokio::test]
    async fn all_bodies_together_have_so_much_room_and_give_it_back() {
        let room = Room::new(32);
        let corner = room.at([10, 0, 0, 1].into());
        let read = |pieces: &[&'static str], bytes_max| read_bounded(body(pieces), bytes_max, corner);
        assert_eq!(read(&["abcdefghi"], 9).await.unwrap(), "abcdefghi", "it lies there already");
        assert_eq!(read(&["abc", "", "def", "gh"], 9).await.unwrap(), "abcdefgh");
        assert!(matches!(read(&["abc", "def", "ghi"], 9).await, Err(Refusal::Busy)), "its share");
        assert!(matches!(read(&["abc", "def", "ghi"], 8).await, Err(Refusal::TooLarge)));
        assert!(matches!(read(&["a"], 0).await, Err(Refusal::TooLarge)));
        let held = corner.grow(None, 5).unwrap();
        assert!(matches!(read(&["ab", "cd"], 9).await, Err(Refusal::Busy)));
        let other = room.at([10, 0, 0, 2].into());
        assert_eq!(read_bounded(body(&["ab", "cd"]), 9, other).await.unwrap(), "abcd");
        drop(held);
        assert_eq!(read(&["abcd", "efgh"], 9).await.unwrap(), "abcdefgh");
    }
}
