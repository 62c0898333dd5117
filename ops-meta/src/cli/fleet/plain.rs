//! A YAML text whose fields only its reader knows, as JSON.

use serde_json::Value;

use super::node::{Node, Written, parse};

/// Unquoted numbers and `true` and `false` are what they look like, all else is text.
///
/// # Errors
/// Where it is no YAML, and why.
pub fn plain(text: &str) -> Result<Value, String> {
    let root = parse(text).map_err(|fault| fault.to_string())?;
    Ok(root.map_or(Value::Null, |node| value(&node)))
}

fn value(node: &Node) -> Value {
    match &node.value {
        _ if node.is_nothing() => Value::Null,
        Written::Text { text, plain: true } => scalar(text),
        Written::Text { text, .. } => Value::from(&**text),
        Written::List(nodes) => nodes.iter().map(value).collect(),
        Written::Fields(fields) => {
            fields.iter().map(|field| (field.key.to_string(), value(&field.node))).collect()
        }
    }
}

fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_numbers_and_all_else_is_text() {
        let text =
            "- {name: first, percent: 1, approval: true}\n- name: '10'\n  percent: 2.5\n  maxFailed: 2%\n";
        let expected = json!([
            {"name": "first", "percent": 1, "approval": true},
            {"name": "10", "percent": 2.5, "maxFailed": "2%"},
        ]);
        assert_eq!(plain(text), Ok(expected));
        assert_eq!(plain(""), Ok(Value::Null));
        assert!(plain("a: [").is_err_and(|why| why.contains("it is no YAML")));
    }
}
