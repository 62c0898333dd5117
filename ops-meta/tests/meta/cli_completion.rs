//! `ops-meta completion`

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::command_line::{command, run};

#[test]
fn every_shell_learns_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut command(&["completion", shell])).ok().out;
        for word in
            ["host", "list", "wait", "push", "package", "deprecate", "token", "event", "backup", "allow-none"]
        {
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
    assert_eq!(run(&mut command(&["completion", "sh"])).code, 2);
}

#[test]
fn bash_takes_its_script_and_completes_with_it() {
    let script = run(&mut command(&["completion", "bash"])).ok().out;
    let ask = "set -- $(complete -p ops-meta); while [ \"$1\" != -F ]; do shift; done
               COMP_WORDS=(ops-meta ho); COMP_CWORD=1; \"$2\" ops-meta ho ops-meta; echo \"${COMPREPLY[@]}\"
               COMP_WORDS=(ops-meta policy se); COMP_CWORD=2; \"$2\" ops-meta se policy; echo \"${COMPREPLY[@]}\"
               COMP_WORDS=(ops-meta policy set a --grou); COMP_CWORD=4; \"$2\" ops-meta --grou a; echo \"${COMPREPLY[@]}\"";
    for (args, input, expected) in
        [(&["-n"][..], script.clone(), ""), (&[], format!("{script}\n{ask}\n"), "host\nset\n--group\n")]
    {
        let mut bash = Command::new("bash");
        bash.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = bash.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), expected);
    }
}
