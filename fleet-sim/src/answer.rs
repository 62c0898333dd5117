//! Reading an HTTP answer out of the bytes that have come so far. Pure.

/// More is no answer to a beat (the updater gives up at the same size).
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
const HEAD_BYTES_MAX: usize = 32 << 10;

/// A whole answer, still in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after_secs: Option<u64>,
    /// The server will say no more on this connection.
    pub closes: bool,
    pub body: Body,
}

/// Where the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Plain { from: usize, to: usize },
    Chunked { from: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Whole(Answer),
    /// More has to come.
    Part,
    /// It is no HTTP, or too much.
    Nonsense,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy)]
enum Ends {
    After(usize),
    WithChunk,
    WithConnection,
}

/// `at_end`: the server has closed.
pub fn read(bytes: &[u8], at_end: bool) -> Read {
    let Some(from) = bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > HEAD_BYTES_MAX { Read::Nonsense } else { Read::Part };
    };
    let head = bytes.get(..from).and_then(|it| std::str::from_utf8(it).ok());
    let Some((mut answer, ends)) = head.and_then(read_head) else { return Read::Nonsense };
    let so_far = bytes.len() - from;
    let whole = match ends {
        _ if so_far > ANSWER_BYTES_MAX => return Read::Nonsense,
        Ends::After(length) => so_far >= length,
        Ends::WithChunk => bytes.get(from - 2..).is_some_and(|it| it.ends_with(b"\r\n0\r\n\r\n")),
        Ends::WithConnection => at_end,
    };
    answer.closes |= matches!(ends, Ends::WithConnection);
    answer.body = match ends {
        Ends::After(length) => Body::Plain { from, to: from + length },
        Ends::WithChunk => Body::Chunked { from },
        Ends::WithConnection => Body::Plain { from, to: bytes.len() },
    };
    if whole { Read::Whole(answer) } else { Read::Part }
}

fn read_head(head: &str) -> Option<(Answer, Ends)> {
    let mut lines = head.split("\r\n");
    let first = lines.next()?.strip_prefix("HTTP/1.")?;
    let status = first.get(2..5)?.parse().ok()?;
    let body = Body::Plain { from: 0, to: 0 };
    let mut answer = Answer { status, retry_after_secs: None, closes: first.starts_with('0'), body };
    let mut ends = Ends::WithConnection;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("content-length") {
            ends = Ends::After(value.parse().ok()?);
        } else if is("transfer-encoding") {
            ends = Ends::WithChunk;
        } else if is("connection") {
            answer.closes = value.eq_ignore_ascii_case("close");
        } else if is("retry-after") {
            // A date means nothing where time runs faster.
            answer.retry_after_secs = value.parse().ok();
        }
    }
    Some((answer, ends))
}

impl Body {
    /// The body's bytes; chunks are joined in `joined`.
    pub fn of<'a>(self, bytes: &'a [u8], joined: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::Plain { from, to } => bytes.get(from..to).unwrap_or_default(),
            Self::Chunked { from } => {
                joined.clear();
                join(bytes.get(from..).unwrap_or_default(), joined);
                joined
            }
        }
    }
}

fn join(mut chunks: &[u8], joined: &mut Vec<u8>) {
    while let Some(at) = chunks.windows(2).position(|it| it == b"\r\n") {
        let (size, rest) = chunks.split_at(at);
        let size = std::str::from_utf8(size).ok().and_then(|it| it.split(';').next()).unwrap_or_default();
        let length = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(2..2 + length).filter(|it| !it.is_empty()) else { return };
        joined.extend_from_slice(chunk);
        chunks = rest.get(2 + length + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, at_end: bool) -> Option<(u16, String)> {
        let Read::Whole(answer) = read(text.as_bytes(), at_end) else { return None };
        let mut joined = Vec::new();
        let body = answer.body.of(text.as_bytes(), &mut joined);
        Some((answer.status, String::from_utf8(body.to_vec()).unwrap()))
    }

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(body(text, false), Some((200, "hello".to_owned())));
        assert!((0..text.len()).all(|end| read(&text.as_bytes()[..end], false) == Read::Part));
    }

    #[test]
    fn chunks_are_joined_and_a_body_without_length_ends_with_the_connection() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        assert_eq!(body(text, false), Some((200, "hello".to_owned())));
        let text = "HTTP/1.0 200 OK\r\n\r\nhello";
        assert_eq!(body(text, false), None);
        assert_eq!(body(text, true), Some((200, "hello".to_owned())));
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let text = "HTTP/1.1 503 x\r\nretry-after: 17\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let Read::Whole(answer) = read(text.as_bytes(), false) else { panic!("not whole") };
        assert_eq!((answer.status, answer.retry_after_secs, answer.closes), (503, Some(17), true));
        assert_eq!(read(b"SSH-2.0\r\n\r\n", false), Read::Nonsense);
    }
}
