//! Somebody with a token.

use std::path::Path;

use serde_json::{Value, json};

use super::{Reply, Server};

/// Calls the API with one token.
pub struct Operator<'a> {
    pub server: &'a Server,
    pub token: String,
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// What the first start left in a data folder.
pub fn first_token(data: &Path) -> String {
    std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned()
}

impl<'a> Operator<'a> {
    /// With the token of the first start.
    pub fn first(server: &'a Server) -> Self {
        server.wait_for_log(&["event=first_token"]);
        Self::with(server, first_token(&server.path("data")))
    }

    pub fn with(server: &'a Server, token: String) -> Self {
        Self { server, token }
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let token = bearer(&self.token);
        let head = [&*token, "Content-Type: application/json"];
        let body = body.map(Value::to_string).unwrap_or_default();
        self.server.ask(method, path, &head, body.as_bytes())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, None)
    }

    /// A new token: its id, and somebody who has it.
    pub fn create(&self, name: &str, role: &str, more: &Value) -> (i64, Operator<'a>) {
        let mut wanted = json!({ "name": name, "role": role });
        for (key, value) in more.as_object().into_iter().flatten() {
            wanted[key] = value.clone();
        }
        let reply = self.post("/api/v1/tokens", &wanted);
        assert_eq!(reply.status, 201, "{}", reply.text());
        let created = reply.json();
        (
            created["id"].as_i64().unwrap(),
            Self::with(self.server, created["secret"].as_str().unwrap().to_owned()),
        )
    }
}
