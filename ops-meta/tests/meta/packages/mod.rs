//! Packages: brought, fetched, listed, deleted; and whatever is wrong with one.

mod blobs;
mod changes;
mod deletes;
mod fetched;
mod kills;
mod lists;
mod refused;
mod sweeps;
mod uploads;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::tarball::{sha256, tarball};
use crate::support::{Operator, Reply, Server, bearer, config_with};

fn server() -> Server {
    server_with(json!({}))
}

/// Nothing is ordered.
fn server_with(other: Value) -> Server {
    let mut config = config_with(json!({ "agents": [] }));
    config.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    Server::start(&config)
}

impl Operator<'_> {
    fn push(&self, path: &str, head: &[&str], tarball: &[u8]) -> Reply {
        let token = bearer(&self.token);
        let head = [&[&*token], head].concat();
        self.server.ask("PUT", &format!("/api/v1/packages/{path}"), &head, tarball)
    }

    /// Goes on with an upload that was cut where it was cut.
    fn resume(&self, path: &str, tarball: &[u8]) -> Reply {
        let (digest, size) = (sha256(tarball), tarball.len());
        let offset = self.get(&format!("/api/v1/uploads/{digest}")).json()["offset"].as_u64().unwrap();
        // Of one that is all there the last byte goes again.
        let first = (offset as usize).min(size - 1);
        let range = format!("Content-Range: bytes {first}-{}/{size}", size - 1);
        self.push(&format!("{path}?sha256={digest}"), &[&range], &tarball[first..])
    }

    /// What has to be new.
    fn bring(&self, path: &str, tarball: &[u8]) -> Value {
        let pushed = self.push(path, &[], tarball);
        assert_eq!(pushed.status, 201, "{path}: {}", pushed.text());
        pushed.json()
    }

    /// Every package there is.
    fn packages(&self) -> Vec<Value> {
        self.get("/api/v1/packages?limit=1000").json()["packages"].as_array().unwrap().clone()
    }

    /// How many events there are of a kind.
    fn events(&self, kind: &str) -> usize {
        self.get(&format!("/api/v1/events?kind={kind}")).json()["events"].as_array().unwrap().len()
    }
}

/// The sentence of a refusal.
fn detail(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()["detail"].as_str().unwrap_or_default().to_owned()
}

/// Names of what lies in the folder of uploads.
fn uploads(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.path("data/packages/uploads")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn blob(server: &Server, bytes: &[u8]) -> PathBuf {
    let digest = sha256(bytes);
    server.path(&format!("data/packages/blobs/{}/{digest}", &digest[..2]))
}

/// Names of all blobs.
fn blobs(server: &Server) -> Vec<String> {
    let folders = std::fs::read_dir(server.path("data/packages/blobs")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// A good one of at least so many bytes, which nothing makes smaller.
fn large(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let noise: Vec<u8> = std::iter::repeat_with(next).take(size).collect();
    tarball(&[("control", b"#!/bin/sh\n"), ("noise", &noise)])
}
