//! HTTP by hand.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde_json::Value;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The bytes of a request; `head` is further header lines.
pub fn request(method: &str, path: &str, head: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    head.iter().for_each(|line| text += &format!("{line}\r\n"));
    [text.as_bytes(), b"\r\n", body].concat()
}

/// Sends a request and reads the reply. A server that refuses early may break the connection while the body is still
/// being sent; what it said counts all the same.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> io::Result<Reply> {
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    let is_head = request.starts_with(b"HEAD ");
    read_reply(stream, is_head).map_err(|error| sent.err().unwrap_or(error))
}

/// Reads one reply; that to a HEAD has no body, whatever its length says.
pub fn read_reply(stream: &mut impl Read, is_head: bool) -> io::Result<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> =
        pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut reply = Reply { status, headers, body: Vec::new() };
    if !is_head && status != 304 {
        read_body(stream, &mut reply)?;
    }
    Ok(reply)
}

fn read_body(stream: &mut impl Read, reply: &mut Reply) -> io::Result<()> {
    if reply.header("transfer-encoding") == "chunked" {
        while let Some(chunk) = read_chunk(stream)? {
            reply.body.extend(chunk);
        }
        return Ok(());
    }
    reply.body = vec![0; reply.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut reply.body)
}

fn read_chunk(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut size = Vec::new();
    while !size.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        size.push(byte[0]);
    }
    let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim(), 16).unwrap();
    let mut chunk = vec![0; size + 2];
    stream.read_exact(&mut chunk)?;
    chunk.truncate(size);
    Ok((size > 0).then_some(chunk))
}
