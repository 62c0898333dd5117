//! A body, read whole: bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::error::Refusal;

/// How much more is read and thrown away, so that a client that is still sending gets to read the refusal.
const DRAINED_BYTES_MAX: usize = 1 << 20;

pub async fn read(body: Body, bytes_max: usize, patience: Duration) -> Result<Bytes, Refusal> {
    let reading = tokio::time::timeout(patience, read_bounded(body, bytes_max));
    reading.await.unwrap_or(Err(Refusal::TooSlow))
}

async fn read_bounded(mut body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut bytes = Bytes::new();
    let (mut more, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::Bad(format!("failed to read the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > DRAINED_BYTES_MAX {
            break;
        }
        // Mostly it comes in one piece, which needs not be copied.
        if bytes.is_empty() && more.is_empty() {
            bytes = data;
        } else if seen <= bytes_max {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut bytes));
            }
            more.extend_from_slice(&data);
        }
    }
    match seen {
        seen if seen > bytes_max => Err(Refusal::TooLarge),
        _ if more.is_empty() => Ok(bytes),
        _ => Ok(more.freeze()),
    }
}
